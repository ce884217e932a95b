"""A program that runs in a Pod of the lab: the Python client of Kubernetes, which no one here wrote.

Its argument says how it finds its configuration: `fixed`, at kubelet's paths, or `told`, by the loader's arguments. It
prints what it saw, a line each.
"""

import os
import socket
import sys

from kubernetes import client, config, watch
from kubernetes.config.incluster_config import InClusterConfigLoader

if sys.argv[1] == "fixed":
    config.load_incluster_config()
else:
    InClusterConfigLoader(token_filename=os.environ["K8SLAB_TOKEN_FILE"],
                          cert_filename=os.environ["K8SLAB_CA_FILE"]).load_and_set()
api = client.CoreV1Api()
print("host", client.Configuration.get_default_copy().host)
print("token", os.environ["K8SLAB_TOKEN_FILE"])
print("services", *(one.metadata.name for one in api.list_namespaced_service("default").items))


def service(name: str) -> client.V1Service:
    return client.V1Service(metadata=client.V1ObjectMeta(name=name, labels={"made": "here"}),
                            spec=client.V1ServiceSpec(ports=[client.V1ServicePort(port=80)]))


def cut() -> None:
    """End every connection of this process, as a network does that goes away."""
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as one:
                if one.getpeername() == ("10.96.0.1", 443):
                    one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass                     # no socket, or one that is not connected


made = api.create_namespaced_service("default", service("first"))
patched = api.patch_namespaced_service("first", "default", {"metadata": {"labels": {"a": "b"}}})
print("patched", *sorted(patched.metadata.labels))

seen, last = [], made.metadata.resource_version
while len(seen) < 3:
    stream = watch.Watch()
    try:
        for event in stream.stream(api.list_namespaced_service, "default", label_selector="made=here",
                                   resource_version=last, timeout_seconds=20):
            last = event["object"].metadata.resource_version
            seen.append(f"{event['type']} {event['object'].metadata.name}")
            if len(seen) == 1:
                cut()
                api.create_namespaced_service("default", service("second"))
                api.delete_namespaced_service("first", "default")
            elif len(seen) == 3:
                stream.stop()
    except Exception as error:
        print("dropped", type(error).__name__)
print("watched", ", ".join(seen))

try:
    api.read_namespaced_service("first", "default")
except client.ApiException as error:
    print("gone", error.status)
api.delete_namespaced_service("second", "default")
