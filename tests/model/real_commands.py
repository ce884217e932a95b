"""The same commands for real: a node with namespaces of its own, in network and mount namespaces of one call.

The node begins as the kernel makes one: with a loopback interface that is down, and no rules.
"""

from __future__ import annotations

import os
import subprocess

MARK = "=-=-=-="
# What every namespace of the lab is set to: no IPv6, and ICMP errors for every packet, not for one a second.
SET_UP = """
mount -t tmpfs none /run && mkdir -p /run/netns
quiet() { sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 \
          net.ipv4.icmp_ratemask=0 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0; }
quiet
"""
# A server in the words of the lab's: what Lab.serve starts in the model.
SERVER = """
import socket, sys
from k8slab.model.programs import spoken
name, port = sys.argv[1], int(sys.argv[2])
server = socket.create_server(("0.0.0.0", port))
print("ready", file=sys.stderr, flush=True)
while True:
    talk, (seen, _) = server.accept()
    asked = talk.recv(4096)
    talk.sendall(spoken(f"{name} at {talk.getsockname()[0]}:{port} answers {seen}", asked) if asked else b"")
    talk.close()
"""


def outputs(commands: list[str], python: str) -> list[str]:
    """What each command prints, one after the other on the same node; `serve NS PORT` starts a server, `settle` waits.

    A link that loses its carrier is told to those above it at most once a second (link_watch.c): hence `settle`.
    """
    lines = [SET_UP]
    for command in commands:
        words = command.split()
        if words[0] == "serve":
            lines.append(f"ip netns exec {words[1]} {python} -c '{SERVER}' {words[1]} {words[2]} 2>/run/up & "
                         f"servers=\"$servers $!\"; while ! grep -qs ready /run/up; do sleep 0.05; done")
        else:
            lines.append("sleep 1.2" if command == "settle" else f"{command} 2>&1")
        if words[:3] == ["ip", "netns", "add"] and len(words) == 4:
            lines.append(f"export -f quiet; ip netns exec {words[3]} bash -c quiet 2>/dev/null")
        if words[0] == "ip":
            lines.append("sleep 0.02")         # links settle a moment after the command has come back
        lines.append(f"echo {MARK}")
    lines.append("kill $servers 2>/dev/null")
    environment = os.environ | {"XTABLES_LOCKFILE": "/dev/null", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["unshare", "-rm", "unshare", "-nm", "bash", "-c", "\n".join(lines)], capture_output=True,
                          text=True, env=environment, timeout=120, check=False)
    assert not done.stderr, done.stderr
    return done.stdout.split(f"{MARK}\n")[:-1]
