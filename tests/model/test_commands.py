"""Commands on a host of the model: what they print, and how they fail."""

from __future__ import annotations

import pytest

from k8slab.errors import CommandError
from k8slab.lab import Lab
from k8slab.network import NetworkError
from tests.model.labs import CLIENT, WEB, model

RULES = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"


def test_iptables_restore_reads_what_it_is_given():
    lab = Lab("model", rules="*nat\n-A OUTPUT -j ACCEPT\nCOMMIT\n")
    assert lab.run("worker1", "iptables-restore --noflush", RULES) == ""
    assert lab.run("worker1", "iptables -S FORWARD") == "-P FORWARD DROP\n"
    assert "-A OUTPUT" in lab.run("worker1", "iptables-save -t nat")


def test_what_is_not_known_is_refused_by_name_with_what_is_supported():
    with pytest.raises(CommandError, match="^worker1: tcpdump is not one of the model's; .*iptables-save") as refusal:
        Lab("model").run("worker1", "tcpdump -i eth0")
    assert refusal.value.status == 127 and refusal.value.printed.endswith("\n")
    with pytest.raises(NetworkError, match="no host nowhere"):
        Lab("model").run("nowhere", "iptables -S")


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_server_that_was_started_answers_and_says_whom_it_sees(proto):
    lab = model()
    assert lab.connect("client", WEB, 9, proto=proto).reply.payload == b""
    lab.serve("web", 9, proto)
    trace = lab.connect("client", WEB, 9, proto=proto)
    said = [s.before.payload for s in trace.steps if s.kind == "DELIVER" and s.node == "client" and s.before.payload]
    assert said == [f"web at {WEB}:9 answers {CLIENT}".encode()]
    with pytest.raises(NetworkError, match="listens on .* port 9 already"):
        lab.serve("web", 9, proto)


def test_who_asks_in_http_is_told_in_http():
    trace = model().connect("client", WEB, 8080, question=b"GET / HTTP/1.1\r\n\r\n")
    said = b"".join(s.before.payload for s in trace.steps if s.kind == "DELIVER" and s.node == "client")
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"HTTP/1.0 200 OK" and body == f"web at {WEB}:8080 answers {CLIENT}\n".encode()
    assert f"Content-Length: {len(body)}".encode() in head and b"Content-Type: text/plain" in head
