"""Stands in for kube-apiserver, as far as its flags go: the lab's own API behind the certificates that it is given.

It shows that the lab starts a program by documented flags, waits for it, speaks to it and ends it; what a real one
would do with them, it does not show.
"""

import argparse
import asyncio
import socket
import ssl
import sys
from pathlib import Path

from k8slab.cluster import Cluster
from k8slab.cluster.http import Api, Tokens
from k8slab.cluster.http.listening import Listener

parser = argparse.ArgumentParser()
for flag in ("advertise-address", "bind-address", "secure-port", "etcd-servers", "service-cluster-ip-range",
             "tls-cert-file", "tls-private-key-file", "client-ca-file", "token-auth-file", "service-account-issuer",
             "service-account-key-file", "service-account-signing-key-file", "authorization-mode", "anonymous-auth"):
    parser.add_argument(f"--{flag}", required=True)


async def serve(options: argparse.Namespace) -> None:
    """Listen where the flags say, as long as nobody ends it."""
    if "broken" in Path(options.token_auth_file).read_text():
        sys.exit("the token file is broken")
    host, port = options.etcd_servers.removeprefix("http://").split(":")
    for _ in range(200):
        with socket.socket() as probe:
            if not probe.connect_ex((host, int(port))):
                break
        await asyncio.sleep(0.05)
    else:
        sys.exit("no etcd")
    cluster = Cluster(dns=False)
    tokens = Tokens(cluster)
    known = [line.split(",")[0] for line in Path(options.token_auth_file).read_text().splitlines()]
    tokens.who = lambda headers: "somebody" if headers.get("authorization", "")[7:] in known else Tokens.who(
        tokens, headers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.tls_cert_file, options.tls_private_key_file)
    door = socket.create_server((options.bind_address, int(options.secure_port)))
    Listener(Api(cluster, tokens), context, cluster.clock.run).listen(door)
    await asyncio.Event().wait()


asyncio.run(serve(parser.parse_args()))
