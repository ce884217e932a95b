"""nat rules as kube-proxy writes them, for any number of Services and endpoints."""

from __future__ import annotations

HEAD = """*nat
:PREROUTING ACCEPT [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
"""


def address(number: int) -> str:
    """The ClusterIP of the Service of that number, from 10.96.0.0 on."""
    return f"10.{96 + number // 65536}.{number // 256 % 256}.{number % 256}"


def endpoint(number: int) -> str:
    return f"10.244.{number // 200}.{number % 200 + 2}"


def nat_rules(services: int, endpoints: int) -> str:
    """Services shop/web0, shop/web1 and so on, each with that many endpoints on port 8080."""
    return HEAD + "".join(_service(number, endpoints) for number in range(services)) + "COMMIT\n"


def _service(number: int, endpoints: int) -> str:
    name, chain, to = f"shop/web{number}:http", f"KUBE-SVC-{number:016X}", f"-d {address(number)}/32 -p tcp"
    test = f'{to} -m comment --comment "{name} cluster IP" -m tcp --dport 80'
    lines = [f":{chain} - [0:0]", f"-A KUBE-SERVICES {test} -j {chain}",
             f"-A {chain} ! -s 10.244.0.0/16 {test} -j KUBE-MARK-MASQ"]
    for n in range(endpoints):
        pod, own, left = endpoint(n), f"KUBE-SEP-{number * endpoints + n:016X}", endpoints - n
        chance = f"-m statistic --mode random --probability {1 / left:.11f} " if left > 1 else ""
        lines += [f":{own} - [0:0]",
                  f'-A {chain} -m comment --comment "{name} -> {pod}:8080" {chance}-j {own}',
                  f'-A {own} -s {pod}/32 -m comment --comment "{name}" -j KUBE-MARK-MASQ',
                  f'-A {own} -p tcp -m comment --comment "{name}" -m tcp -j DNAT --to-destination {pod}:8080']
    return "\n".join(lines) + "\n"
