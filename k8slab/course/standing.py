"""What there is in a lab that somebody can have changed: rules, wiring, routes and sysctls, by whatever program.

It is read from what is there, not from what was typed: `nft`, `iptables-nft` and a shell change rules, too.
"""

from __future__ import annotations

from k8slab.course.exercise import rules_of
from k8slab.lab import Lab
from k8slab.model.dataplane import Model

# Of a real kernel: its routes with their addresses, and the sysctls on which a packet's way depends.
FILES = ("/proc/net/fib_trie", "/proc/net/route", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/bridge/*",
         *(f"/proc/sys/net/ipv4/conf/*/{name}" for name in ("rp_filter", "forwarding", "route_localnet")))
LOOK = f"grep -H '' {' '.join(FILES)} 2>/dev/null || true"


def standing(lab: Lab) -> tuple[object, ...]:
    """What there is now: equal to what there was if nothing was changed.

    >>> with Lab("model") as lab:
    ...     before = standing(lab)
    ...     lab.connect("client", "10.96.0.1", 443).verdict, standing(lab) == before
    ('DELIVERED', True)
    """
    plane = lab.dataplane
    if isinstance(plane, Model):
        return rules_of(lab), plane.network
    asked = [host.name for host in plane.network.hosts if host.kind == "node" or host.name == "client"]
    return rules_of(lab), plane.network, *(plane.command(name, ["sh", "-c", LOOK]) for name in asked)
