"""How long our kube-proxy takes for 10,000 Services of 5 endpoints, beside the hashing that it cannot do without.

    python -m tests.benchmarks.render_time

The hashing is 60,000 times SHA-256 and base32 of the digest, in the same run: one for each chain of a Service and of
an endpoint. Kubernetes' own program, in Go, takes one to two of such loops of Python's.
"""

from __future__ import annotations

import gc
import hashlib
import time
from base64 import b32encode

from k8slab.kubeproxy import Config, Node, Proxier, pod_cidr, read_objects

SERVICES, ENDPOINTS, ROUNDS = 10_000, 5, 5
LABEL = "kubernetes.io/service-name"


def items() -> list[dict]:
    """The objects of the cluster, as the API gives them."""
    found: list[dict] = []
    for n in range(SERVICES):
        name, low = f"service-{n}", f"{n // 256}.{n % 256}"
        found.append(
            {
                "kind": "Service",
                "metadata": {"namespace": "default", "name": name},
                "spec": {"clusterIP": f"10.96.{low}", "ports": [{"name": "http", "port": 80}]},
            }
        )
        found.append(
            {
                "kind": "EndpointSlice",
                "metadata": {"namespace": "default", "name": name, "labels": {LABEL: name}},
                "addressType": "IPv4",
                "ports": [{"name": "http", "port": 8080}],
                "endpoints": [{"addresses": [f"10.{i}.{low}"]} for i in range(1, ENDPOINTS + 1)],
            }
        )
    return found


def timed(work) -> float:
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def hashing() -> None:
    for n in range(SERVICES * (1 + ENDPOINTS)):
        b32encode(hashlib.sha256(b"default/service-%d:httptcp10.1.0.1:8080" % n).digest())


def main() -> None:
    cluster, config = read_objects(items()), Config(Node("worker1"), pod_cidr("10.244.0.0/16"))
    pairs = [(timed(lambda: Proxier(config).sync(cluster)), timed(hashing)) for _ in range(ROUNDS)]
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    print(
        f"restore text for {SERVICES:,} Services of {ENDPOINTS} endpoints: {ratios[ROUNDS // 2]:.2f} times the "
        f"hashing "
        f"(from {ratios[0]:.2f} to {ratios[-1]:.2f} in {ROUNDS} rounds; the hashing took "
        f"{min(b for _, b in pairs):.2f} s)"
    )


if __name__ == "__main__":
    main()
