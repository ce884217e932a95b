"""The lab's own application in a Pod: it asks the API server for one path, as kubelet's files tell it, and says so.

A program by itself, in Python's own library: TLS verified against the CA of its service account, and the token sent.
What it was asked, it reads as JSON on standard input: `path`, and the port that it is to send from.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys

PATIENCE = 10.0       # seconds


def _read(name: str) -> str:
    with open(os.environ[name], encoding="ascii") as file:
        return file.read()


def main() -> None:
    """Ask, and print what was heard as JSON: `status`, `obj`, `names`; or `error`."""
    asked = json.load(sys.stdin)
    address, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
    context = ssl.create_default_context(cadata=_read("K8SLAB_CA_FILE"))
    connection = http.client.HTTPSConnection(address, port, timeout=PATIENCE, context=context,
                                             source_address=("", asked["sport"]))
    try:
        connection.request("GET", asked["path"], headers={"Authorization": f"Bearer {_read('K8SLAB_TOKEN_FILE')}",
                                                          "Accept": "application/json"})
        answer = connection.getresponse()
        names = [value for _, value in connection.sock.getpeercert().get("subjectAltName", ())]
        told = {"status": answer.status, "obj": json.loads(answer.read()), "names": names}
    except (OSError, http.client.HTTPException) as error:
        told = {"error": getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)}
    print(json.dumps(told))
