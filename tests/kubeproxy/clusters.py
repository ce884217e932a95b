"""Random clusters: every Service type, policy and condition; and a count of what came up.

python -m tests.kubeproxy.clusters [COUNT]       prints how often each came up in that many clusters
"""

from __future__ import annotations

import random
import re
import sys
from collections import Counter

from k8slab.kubeproxy import Config, Node, Proxier, bridge, interface_prefix, pod_cidr, read_objects

NODE = Node("k8smaster", ("10.106.175.128",), "zone-a")
NAMESPACES, NAMES = ("default", "shop", "kube-system"), ("web", "api", "db", "cache", "dns")
KINDS = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "headless")
# Every kind of rule: what its comment, or else its form, holds.
RULES = {
    "cluster IP": r"KUBE-SERVICES .*cluster IP",
    "external IP": r"external IP",
    "load balancer": r"KUBE-SERVICES .*loadbalancer IP",
    "no endpoints": r"no endpoints",
    "no local endpoints": r"no local endpoints",
    "node port": r"-A KUBE-NODEPORTS .*-j KUBE-EXT",
    "firewall": r"-A KUBE-FW-.* -s [0-9./]+ -j KUBE-EXT",
    "firewall, the node itself": r"-A KUBE-FW-.* -s 5\.6\.7\.\d+ -j",
    "firewall's last": r"other traffic to",
    "not accepted": r"not accepted by",
    "health check": r"health check node port",
    "masquerade by range": r"cluster IP.* ! -[si] ",
    "masquerade all": r"cluster IP\" -m \w+ -p \w+ -d \S+ --dport \d+ -j KUBE-MARK-MASQ",
    "masquerade from outside": r"masquerade traffic for",
    "pod traffic": r"pod traffic for",
    "local traffic": r"route LOCAL traffic",
    "straight on": r"-A KUBE-EXT-\S+ -j KUBE-SV",
    "affinity": r"--rcheck",
    "affinity's memory": r"--set",
    "chance": r"--probability",
    "endpoint": r"--to-destination",
    "hairpin": r"-A KUBE-SEP-.* -s \S+ -j KUBE-MARK-MASQ",
    "SVL": r":KUBE-SVL-",
    "sctp": r"-p sctp",
    "udp": r"-p udp",
    "nodeport address": r"-d 10.106.175.128 -j KUBE-NODEPORTS",
}


def config(chance: random.Random) -> Config:
    """One of kube-proxy's many set-ups; nfacct is left out, whose objects belong to the host."""
    detector = chance.choice((None, pod_cidr("10.244.0.0/16"), bridge("cni0"), interface_prefix("veth")))
    return Config(
        NODE,
        detector,
        chance.random() < 0.15,
        chance.choice(((), (), ("10.106.0.0/16",), ("0.0.0.0/0",))),
        chance.random() < 0.8,
        masquerade_bit=chance.choice((14, 14, 0, 31)),
    )


def cluster(chance: random.Random, seen: Counter | None = None) -> list[dict]:
    """The objects of a cluster of a few Services, as the API would give them."""
    items: list[dict] = []
    for number, name in enumerate(chance.sample(NAMES, chance.randint(1, len(NAMES)))):
        items += service(chance, chance.choice(NAMESPACES), name, number, seen if seen is not None else Counter())
    return items


def service(chance: random.Random, namespace: str, name: str, number: int, seen: Counter) -> list[dict]:
    """A Service and its slices."""
    kind = chance.choice(KINDS)
    internal, external = chance.choice(("Cluster", "Local")), chance.choice(("Cluster", "Local"))
    several = chance.random() < 0.4
    ports = [
        {"name": f"p{i}" if several else "", "port": 80 + i, "protocol": chance.choice(("TCP", "TCP", "UDP", "SCTP"))}
        for i in range(chance.randint(2, 3) if several else 1)
    ]
    spec: dict = {
        "type": "ClusterIP" if kind == "headless" else kind,
        "internalTrafficPolicy": internal,
        "ports": ports,
        "clusterIP": "None" if kind == "headless" else f"10.96.{number}.{chance.randint(1, 250)}",
    }
    status: dict = {}
    if kind == "ExternalName":
        spec = {"type": kind, "externalName": "example.org"}
    elif kind != "headless":
        _beside(chance, kind, external, number, spec, status, seen)
    seen.update((kind, f"internal {internal}", *(port["protocol"] for port in ports)))
    made = {"kind": "Service", "metadata": {"namespace": namespace, "name": name}, "spec": spec, "status": status}
    return [made, *slices(chance, namespace, name, ports, seen)]


def _beside(
    chance: random.Random, kind: str, external: str, number: int, spec: dict, status: dict, seen: Counter
) -> None:
    """What makes a Service reachable at more than its ClusterIP, and who is remembered."""
    if kind in ("NodePort", "LoadBalancer"):
        for i, port in enumerate(spec["ports"]):
            port["nodePort"] = 30000 + 10 * number + i
    if chance.random() < 0.3:
        spec["externalIPs"] = [f"192.168.99.{number + 1}"]
    if kind != "ClusterIP" or "externalIPs" in spec:
        spec["externalTrafficPolicy"] = external
        seen[f"external {external}"] += 1
    if kind == "LoadBalancer":
        mode = chance.choice(("VIP", "VIP", "Proxy"))
        status["loadBalancer"] = {
            "ingress": [{"ip": f"5.6.7.{number + 1}", "ipMode": mode}, {"hostname": "lb.example.org"}]
        }
        spec["loadBalancerSourceRanges"] = chance.choice(
            ([], ["203.0.113.0/25"], ["203.0.113.0/25", "10.106.0.0/16"], ["0.0.0.0/0"])
        )
        if external == "Local":
            spec["healthCheckNodePort"] = 32000 + number
        seen.update((f"ipMode {mode}", f"{len(spec['loadBalancerSourceRanges'])} source ranges"))
    if chance.random() < 0.25:
        spec |= {
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": chance.choice((60, 10800))}},
        }
        seen["ClientIP"] += 1


def slices(chance: random.Random, namespace: str, name: str, ports: list[dict], seen: Counter) -> list[dict]:
    """None to three slices of a Service; an endpoint may be in two of them, as while it moves from one to the other."""
    hinted, made = chance.random() < 0.3, []
    for at in range(chance.choice((0, 1, 1, 1, 2, 3))):
        ends = []
        for _ in range(chance.randint(0, 4)):
            state = chance.choice(("ready", "ready", "ready", "serving", "terminating", "gone"))
            conditions = {
                "ready": state == "ready",
                "serving": state in ("ready", "serving", "terminating"),
                "terminating": state == "terminating",
            }
            home = chance.choice(("k8smaster", "worker1", None))
            hints = {"forZones": [{"name": chance.choice(("zone-a", "zone-b"))}]} if hinted else {}
            if hinted and chance.random() < 0.5:
                hints["forNodes"] = [{"name": chance.choice(("k8smaster", "worker1"))}]
            ends.append(
                {
                    "addresses": [f"10.244.{chance.randint(0, 1)}.{chance.randint(2, 9)}"],
                    "conditions": conditions,
                    "nodeName": home,
                    "hints": hints,
                }
            )
            seen.update((state, f"on {home}", *hints))
        made.append(
            {
                "kind": "EndpointSlice",
                "addressType": "IPv4",
                "endpoints": ends,
                "metadata": {
                    "namespace": namespace,
                    "name": f"{name}-{at}",
                    "labels": {"kubernetes.io/service-name": name},
                },
                "ports": [
                    {"name": port["name"], "port": 8000 + port["port"], "protocol": port["protocol"]} for port in ports
                ],
            }
        )
    return made


def covered(count: int, seed: int = 0) -> tuple[Counter, Counter]:
    """How often each property of the objects, and each kind of rule, came up in `count` clusters."""
    chance, seen, rules = random.Random(seed), Counter(), Counter()
    for _ in range(count):
        text = Proxier(config(chance)).sync(read_objects(cluster(chance, seen))).text
        rules.update({kind: len(re.findall(pattern, text)) for kind, pattern in RULES.items()})
    return seen, rules


def main() -> None:
    count = int(sys.argv[1]) if sys.argv[1:] else 1000
    for title, found in zip(("objects", "rules"), covered(count)):
        print(f"{title} of {count} clusters")
        print(*(f"  {times:6} {name}" for name, times in sorted(found.items())), sep="\n")


if __name__ == "__main__":
    main()
