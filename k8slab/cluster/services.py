"""A Service's addresses: given when it is made, kept while it lives, taken back when it is deleted."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from k8slab.cluster import errors
from k8slab.cluster import words as w
from k8slab.cluster.allocator import ELSEWHERE, FULL, NODE_PORTS, Address, ClusterIPs, Unallocated, next_node_port
from k8slab.cluster.kinds import IP_ADDRESS, SERVICE, SERVICE_CIDR
from k8slab.cluster.plain import dig, name_of, namespace_of

if TYPE_CHECKING:
    from k8slab.cluster.registry import Registry

PORT_RANGE = "provided port is not in the valid range. The range of valid ports is 30000-32767"
PORT_TAKEN = "provided port is already allocated"
IP_LABELS = {"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}


class Addresses:
    """Gives ClusterIPs and NodePorts on behalf of one API server. `cidr`: its `--service-cluster-ip-range`."""

    def __init__(self, registry: Registry, cidr: str, rng: Random) -> None:
        self._registry, self._rng, self.cidr = registry, rng, cidr

    def ranges(self) -> list[ClusterIPs]:
        """One for each range of a ServiceCIDR that is ready and not being deleted, the server's own first."""
        cidrs = [self.cidr]
        for entry in self._registry.store.range(SERVICE_CIDR.prefix):
            if not dig(entry.value, "metadata", "deletionTimestamp"):
                cidrs += dig(entry.value, "spec", "cidrs", default=[])
        return [ClusterIPs(one, self._taken) for one in dict.fromkeys(cidrs) if ":" not in one]

    def _taken(self, address: Address) -> bool:
        return self._registry.store.get(IP_ADDRESS.key("", str(address))) is not None

    def give(self, service: dict) -> None:
        """Write the ClusterIP, and the NodePorts that its type has, into a new Service; raises ApiError (422, 500)."""
        spec = service["spec"]
        if spec["type"] == "ExternalName":
            return
        if spec.get("clusterIP") != "None":
            self._claim(service)
        if spec["type"] in ("NodePort", "LoadBalancer"):
            try:
                self._give_ports(service)
            except errors.ApiError:
                self.take_back(service)
                raise

    def _claim(self, service: dict) -> None:
        spec, asked = service["spec"], service["spec"].get("clusterIP")
        try:
            address = self._check(Address(asked)) if asked else self._next()
        except Unallocated as error:
            if not asked:
                raise errors.ApiError(500, "InternalError", f"Internal error occurred: failed to allocate a "
                                      f"serviceIP: {error}") from None
            raise errors.invalid(SERVICE, name_of(service), [w.wrong(
                "spec.clusterIPs", [asked], f"failed to allocate IP {asked}: {error}")]) from None
        spec |= {"clusterIP": str(address), "clusterIPs": [str(address)]}
        self.make_ip_address(service)

    def make_ip_address(self, service: dict) -> None:
        """Create the IPAddress object that says whose a ClusterIP is."""
        parent = {"group": "", "name": name_of(service), "namespace": namespace_of(service), "resource": "services"}
        name = service["spec"]["clusterIP"]
        self._registry.create({"kind": "IPAddress", "metadata": {"name": name, "labels": dict(IP_LABELS)},
                               "spec": {"parentRef": parent}}, IP_ADDRESS)

    def _check(self, address: Address) -> Address:
        one = next((one for one in self.ranges() if address in one.network), None)
        if one is None:
            raise Unallocated(ELSEWHERE)
        one.check(address)
        return address

    def _next(self) -> Address:
        for one in self.ranges():
            try:
                return one.next(self._rng)
            except Unallocated:
                continue
        raise Unallocated(FULL)

    def _give_ports(self, service: dict) -> None:
        taken = {port.get("nodePort") for entry in self._registry.store.range(SERVICE.prefix)
                 if dig(entry.value, "metadata", "uid") != dig(service, "metadata", "uid")
                 for port in dig(entry.value, "spec", "ports", default=[])}
        for number, port in enumerate(service["spec"].get("ports") or []):
            asked = port.get("nodePort")
            if asked and (asked not in NODE_PORTS or asked in taken):
                said = PORT_TAKEN if asked in NODE_PORTS else PORT_RANGE
                raise errors.invalid(SERVICE, name_of(service), [
                    w.wrong(f"spec.ports[{number}].nodePort", asked, said)])
            port["nodePort"] = asked or next_node_port(taken, self._rng)
            taken.add(port["nodePort"])

    @staticmethod
    def keep(new: dict, old: dict) -> None:
        """Carry over what a writer left out and the API had chosen: addresses and NodePorts (patchAllocatedValues)."""
        spec, was = new["spec"], old["spec"]
        if "ExternalName" not in (spec["type"], was["type"]):
            if not spec.get("clusterIP") and not spec.get("clusterIPs"):
                spec |= {"clusterIP": was.get("clusterIP"), "clusterIPs": list(was.get("clusterIPs", []))}
            elif spec.get("clusterIP") != was.get("clusterIP") and spec.get("clusterIPs") == was.get("clusterIPs"):
                spec["clusterIPs"] = [spec["clusterIP"]] if spec.get("clusterIP") else []
        if {spec["type"], was["type"]} <= {"NodePort", "LoadBalancer"}:
            before = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in was.get("ports", [])}
            for port in spec.get("ports") or []:
                if not port.get("nodePort") and (known := before.get((port.get("protocol"), port.get("port")))):
                    port["nodePort"] = known

    def change(self, new: dict, old: dict) -> None:
        """Give or take back what a change of type asks for."""
        kinds = new["spec"]["type"], old["spec"]["type"]
        if kinds[0] == "ExternalName" and kinds[1] != "ExternalName":
            self.take_back(old)
            for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
                new["spec"].pop(key, None)
        elif kinds[1] == "ExternalName":
            self.give(new)
        elif kinds[0] in ("NodePort", "LoadBalancer"):
            self._give_ports(new)

    def take_back(self, service: dict) -> None:
        """Delete the IPAddress of a Service that goes, if it is this Service's."""
        address = dig(service, "spec", "clusterIP", default="None")
        entry = self._registry.store.get(IP_ADDRESS.key("", address))
        whose = dig(entry.value, "spec", "parentRef", default={}) if entry else {}
        if (whose.get("namespace"), whose.get("name")) == (namespace_of(service), name_of(service)):
            self._registry.remove(IP_ADDRESS, "", address)
