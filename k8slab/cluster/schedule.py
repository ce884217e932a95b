"""What else a control plane does on its own: choose a node for a Pod, empty a namespace, keep IPAddresses in order."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping

from k8slab.cluster.client import Client
from k8slab.cluster.control import NAME
from k8slab.cluster.errors import ApiError
from k8slab.cluster.kinds import (CONFIG_MAP, IP_ADDRESS, KINDS, NAMESPACE, NODE, POD, SERVICE, SERVICE_ACCOUNT,
                                  SERVICE_CIDR)
from k8slab.cluster.node import record
from k8slab.cluster.plain import copied, dig, name_of, namespace_of
from k8slab.cluster.registry import Event

FINALIZER = "networking.k8s.io/service-cidr-finalizer"


class Scheduler:
    """kube-scheduler: a Pod without a node goes to the node without a taint that has the fewest Pods."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._nodes = client.follow(NODE, lambda event: self._again())
        self._pods = client.follow(POD, self._changed)

    def _again(self) -> None:
        for pod in list(self._pods.items.values()):
            self._changed(Event("MODIFIED", pod))

    def _changed(self, event: Event) -> None:
        pod = event.obj
        if event.type == "DELETED" or dig(pod, "spec", "nodeName") or dig(pod, "metadata", "deletionTimestamp"):
            return
        nodes = [name for (_, name), one in sorted(self._nodes.items.items())
                 if not dig(one, "spec", "taints") and not dig(one, "spec", "unschedulable")]
        if not nodes:
            return
        load = Counter(dig(one, "spec", "nodeName") for one in self._pods.items.values())
        new = copied(pod)
        new["spec"]["nodeName"] = min(nodes, key=lambda one: (load[one], one))
        self._pods.items[namespace_of(pod), name_of(pod)] = new  # assumed, until the event tells of it
        self._client.update(new, POD, namespace_of(pod))
        record(self._client, pod, "Scheduled", f"Successfully assigned {namespace_of(pod)}/{name_of(pod)} to "
               f"{new['spec']['nodeName']}", "default-scheduler")


class Housekeeper:
    """Controllers of namespaces and of Service addresses. `authority`: the cluster's CA certificate, as PEM text."""

    def __init__(self, client: Client, authority: str) -> None:
        self._client, self._authority = client, authority
        client.follow(NAMESPACE, self._namespace_changed)
        client.follow(SERVICE_CIDR, self._cidr_changed)
        client.follow(IP_ADDRESS, self._address_changed)

    def _namespace_changed(self, event: Event) -> None:
        name = name_of(event.obj)
        if event.type == "DELETED":
            return
        if dig(event.obj, "metadata", "deletionTimestamp"):
            for kind in KINDS:
                if kind.namespaced and kind.prefix:
                    for one in self._client.list(kind, name)[0]:
                        self._drop(kind, name, name_of(one))
            self._client.remove(NAMESPACE, "", name)
            return
        authority = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": self._authority}}
        for kind, obj in ((SERVICE_ACCOUNT, {"metadata": {"name": "default"}}), (CONFIG_MAP, authority)):
            if self._client.find(kind, name, name_of(obj)) is None:
                self._client.create({"kind": kind.kind, **obj}, kind, name)

    def _drop(self, kind: object, namespace: str, name: str) -> None:
        try:
            self._client.delete(kind, namespace, name, 0)
        except ApiError as error:
            if error.code != 404:
                raise

    def _cidr_changed(self, event: Event) -> None:
        """A ServiceCIDR that is being deleted stays until no address of it is in use (servicecidrs controller)."""
        obj = event.obj
        finalizers = dig(obj, "metadata", "finalizers", default=[])
        if event.type == "DELETED":
            return
        if not dig(obj, "metadata", "deletionTimestamp"):
            if FINALIZER not in finalizers:
                obj["metadata"]["finalizers"] = [*finalizers, FINALIZER]
                self._client.update(obj, SERVICE_CIDR)
            return
        if not any(_within(one, obj) for one in self._client.list(IP_ADDRESS)[0]):
            self._client.remove(SERVICE_CIDR, "", name_of(obj))

    def _address_changed(self, event: Event) -> None:
        if event.type != "DELETED":
            return
        for cidr in self._client.list(SERVICE_CIDR)[0]:
            if dig(cidr, "metadata", "deletionTimestamp"):
                self._cidr_changed(Event("MODIFIED", cidr))
        parent = dig(event.obj, "spec", "parentRef", default={})
        service = self._client.find(SERVICE, parent.get("namespace", ""), parent.get("name", NAME))
        if service and service["spec"].get("clusterIP") == name_of(event.obj):  # ipallocator's repair
            metadata = {"name": name_of(event.obj), "labels": event.obj["metadata"].get("labels", {})}
            self._client.create({"kind": "IPAddress", "metadata": metadata, "spec": event.obj["spec"]}, IP_ADDRESS)


def _within(address: Mapping, cidr: Mapping) -> bool:
    return any(ipaddress.ip_address(name_of(address)) in ipaddress.ip_network(one)
               for one in dig(cidr, "spec", "cidrs", default=[]))
