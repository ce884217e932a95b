"""What a learner asks of a capstone and answers about it, read from plain words."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from k8slab.course.capstone.asking import Asked, inside
from k8slab.course.capstone.drawn import Drawn
from k8slab.errors import Told
from k8slab.kubeproxy.objects import ServicePort

BLANK = "____"
CALLERS = ("pod", "node", "outside")
TARGET = re.compile(r"(?:(tcp|udp)[ /]+)?([\d.]+):(\d{1,5})", re.IGNORECASE | re.ASCII)


class AskError(Told, ValueError):
    """A question that cannot be asked: what was found in its place, and what would be right."""


def asked(drawn: Drawn, who: object, to: object) -> Asked:
    """A question from words: who asks, and "10.43.0.1:443" or "udp 10.43.0.10:53". Raises AskError."""
    found = TARGET.fullmatch(to.strip()) if isinstance(to, str) else None
    if not found or not _ipv4(found[2]) or int(found[3]) > 65535:
        raise AskError(f"whom to ask is {to!r}; an address and a port are wanted, as in '10.43.0.1:443' or "
                       "'udp 10.43.0.10:53'")
    return Asked(_caller(drawn, who), found[2], int(found[3]), (found[1] or "tcp").lower())


def _caller(drawn: Drawn, who: object) -> str:
    """Who asks: one of CALLERS, or an address that is not the node's own and can send a packet to it."""
    name = who.strip() if isinstance(who, str) else ""
    if name in CALLERS:
        return name
    if name in drawn.node.addresses:
        return "node"
    if not _ipv4(name) or not _sends(drawn, name):
        raise AskError(f"who asks is {who!r}; it may be {', '.join(map(repr, CALLERS))}, or the address of a Pod "
                       f"(those of this node are in {drawn.subnet}) or of another machine")
    return name


def _sends(drawn: Drawn, address: str) -> bool:
    one = ipaddress.ip_address(address)
    return not (one.is_loopback or one.is_multicast or inside(address, "0.0.0.0/8") or inside(address, "240.0.0.0/4")
                or inside(address, drawn.service_range))


def _ipv4(word: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(word))
    except ValueError:
        return False


def meant(ports: Sequence[ServicePort], words: object) -> list[ServicePort]:
    """The ports of Services that words mean: those of that name or address, or else all whose name holds the words.

    A name: "shop/web", "shop/web:http", or "web"; an address: "10.43.7.1", or "10.43.7.1:80". Raises AskError for what
    is no text.
    """
    if not isinstance(words, str):
        raise AskError(f"the name of a Service is {words!r}; a text is wanted, as in 'default/kubernetes'")
    word = words.strip()
    return [one for one in ports if exactly(one, word)] or [one for one in ports if word in one.name]


def exactly(port: ServicePort, word: str) -> bool:
    """Whether a word is the name or the address of a port of a Service, or of the Service."""
    return word in (port.name, f"{port.namespace}/{port.service}", port.service, port.cluster_ip,
                    f"{port.cluster_ip}:{port.port}")


def one_service(ports: Sequence[ServicePort], words: object) -> list[ServicePort]:
    """The ports of the one Service that words mean. Raises AskError where they mean none, or several."""
    found = meant(ports, words)
    if not found:
        raise AskError(nobody(words))
    names = sorted({f"{one.namespace}/{one.service}" for one in found})
    if len(names) > 1:
        some = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if names[4:] else "")
        raise AskError(f"{words!r} may mean {len(names)} Services: {some}")
    return found


def nobody(words: object) -> str:
    """That no Service has a name."""
    return (f"no Service with a ClusterIP is called {words!r}; a name is a namespace and the Service's own, as in "
            "'default/kubernetes', and may go on with its port's, ':https'")
