"""kubelet: a Node that says it is ready, the Pods that it runs, and those that it runs without having been asked."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Mapping
from random import Random

from k8slab.cluster.client import Client
from k8slab.cluster.errors import ApiError, Refused
from k8slab.cluster.kinds import EVENT, LEASE, NODE, POD
from k8slab.cluster.plain import copied, dig, name_of, namespace_of
from k8slab.cluster.registry import Event
from k8slab.cluster.server import ApiServer

VERSION = "v1.36.2"
BEAT = 10.0             # seconds between two renewals of the node's Lease
LEASE_SECONDS = 40      # leaseDurationSeconds of it
START, STOP = 1.0, 1.0  # seconds that a container of the lab takes to start and to end
MIRROR = {"kubernetes.io/config.source": "file"}
MIRROR_NOTE = "kubernetes.io/config.mirror"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
SYSTEM = {"architecture": "amd64", "containerRuntimeVersion": "containerd://2.1.4", "kernelVersion": "6.12.0",
          "kubeProxyVersion": "", "kubeletVersion": VERSION, "operatingSystem": "linux",
          "osImage": "Debian GNU/Linux 12 (bookworm)"}
CAPACITY = {"cpu": "2", "memory": "4Gi", "pods": "110"}
# What a healthy kubelet says: type, status, reason, message.
CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def record(client: Client, about: Mapping, reason: str, message: str, component: str) -> None:
    """Store an Event about an object, named as client-go names it: the object's name and the moment, in hexadecimal."""
    now, namespace = client.clock.stamp(), namespace_of(about) or "default"
    moment = f"{int(client.clock.now * 1e9) + int(client.clock.epoch.timestamp()) * 10**9:x}"
    reference = {"apiVersion": about["apiVersion"], "kind": about["kind"], "name": name_of(about),
                 "namespace": namespace_of(about), "uid": about["metadata"]["uid"]}
    name = f"{name_of(about)}.{moment}{hashlib.sha256(reason.encode()).hexdigest()[:4]}"
    client.create({"kind": "Event", "metadata": {"name": name, "namespace": namespace}, "involvedObject": reference,
                   "reason": reason, "message": message, "source": {"component": component}, "firstTimestamp": now,
                   "lastTimestamp": now, "count": 1, "type": "Normal"}, EVENT, namespace)


def new_pod(name: str, namespace: str, labels: Mapping[str, str], image: str, ports: tuple[tuple[str, int], ...] = (),
            **spec: object) -> dict:
    """A Pod with one container as somebody would write it; `ports`: (protocol, number).

    >>> new_pod("web", "default", {"app": "web"}, "nginx:1.29", (("tcp", 80),))["spec"]["containers"][0]["ports"]
    [{'containerPort': 80, 'protocol': 'TCP'}]
    """
    container: dict = {"name": name.rpartition("/")[2], "image": image}
    if ports:
        container["ports"] = [{"containerPort": number, "protocol": protocol.upper()} for protocol, number in ports]
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace,
            "labels": dict(labels)}, "spec": {"containers": [container], **spec}}


class Kubelet:
    """kubelet of one node. `pod_cidr`: where its Pods get their addresses from, the first being the node's own.

    `server`: the API server that it runs as a static Pod, if any. `wanted`: addresses kept for Pods, by (namespace,
    name): the lab's drawing says where its Pods are.
    """

    def __init__(self, node: str, address: str, pod_cidr: str, client: Client, rng: Random,
                 server: ApiServer | None = None, wanted: Mapping[tuple[str, str], str] | None = None) -> None:
        self.node, self.address, self.server = node, address, server
        self._hosts = list(ipaddress.IPv4Network(pod_cidr).hosts())[1:]
        self._client, self._clock = client, client.clock
        self._wanted = dict(wanted or {})
        self._restarts, self._ended = 0, ""
        self._register(pod_cidr, bool(server), rng)
        self._static = self._static_pod(rng) if server else None
        self._pods = client.follow(POD, self._changed)
        if server:
            server.on_change(self._server_changed)
            self._mirror()
        self._beat()

    def promise(self, namespace: str, name: str, address: str) -> None:
        """Keep an address for a Pod that is to come."""
        self._wanted[namespace, name] = address

    def _register(self, pod_cidr: str, control_plane: bool, rng: Random) -> None:
        labels = {"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                  "kubernetes.io/hostname": self.node, "kubernetes.io/os": "linux"}
        spec: dict = {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]}
        if control_plane:
            labels |= {CONTROL_PLANE: "", "node.kubernetes.io/exclude-from-external-load-balancers": ""}
            spec["taints"] = [{"effect": "NoSchedule", "key": CONTROL_PLANE}]
        self._machine = {one: f"{rng.getrandbits(128):032x}" for one in ("machineID", "systemUUID", "bootID")}
        self._since = self._clock.stamp()
        self._client.create({"kind": "Node", "metadata": {"name": self.node, "labels": labels}, "spec": spec}, NODE)
        self._say_status()

    def _say_status(self) -> None:
        node = self._client.get(NODE, "", self.node)
        conditions = [{"type": kind, "status": status, "reason": reason, "message": message,
                       "lastHeartbeatTime": self._clock.stamp(), "lastTransitionTime": self._since}
                      for kind, status, reason, message in CONDITIONS]
        node["status"] = {"addresses": [{"type": "InternalIP", "address": self.address},
                                        {"type": "Hostname", "address": self.node}],
                          "allocatable": dict(CAPACITY), "capacity": dict(CAPACITY), "conditions": conditions,
                          "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}, "nodeInfo": SYSTEM | self._machine}
        self._client.update(node, NODE, status=True)

    def _beat(self) -> None:
        # One renewal at a time: a beat that finds no API server is the one that is tried again.
        self._clock.after(BEAT if self._done(self._renew) else 1, self._beat)

    def _renew(self) -> None:
        lease = self._client.find(LEASE, "kube-node-lease", self.node)
        spec = {"holderIdentity": self.node, "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": self._clock.stamp(micro=True)}
        new = lease or {"kind": "Lease", "metadata": {"name": self.node, "namespace": "kube-node-lease"}}
        new["spec"] = spec
        (self._client.update if lease else self._client.create)(new, LEASE, "kube-node-lease")

    def _done(self, call: Callable[[], object]) -> bool:
        """Make a call; false where it has to be made again: no API server answers, or somebody was quicker."""
        try:
            call()
        except Refused:
            return False
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return error.code == 404
        return True

    def _try(self, call: Callable[[], object]) -> None:
        """Make a call, again each second until it is done."""
        if not self._done(call):
            self._clock.after(1, lambda: self._try(call))

    def _static_pod(self, rng: Random) -> dict:
        """The mirror of the API server's static Pod, as kubeadm writes it: it shares the node's address."""
        labels = {"component": "kube-apiserver", "tier": "control-plane"}
        pod = new_pod(self.server.name, "kube-system", labels, f"registry.k8s.io/kube-apiserver:{VERSION}",
                      hostNetwork=True, nodeName=self.node, priorityClassName="system-node-critical")
        pod["spec"]["containers"][0]["name"] = "kube-apiserver"
        digest = f"{rng.getrandbits(128):032x}"
        pod["metadata"]["annotations"] = MIRROR | {MIRROR_NOTE: digest, "kubernetes.io/config.hash": digest}
        return pod

    def _mirror(self) -> None:
        """Show the static Pod in the API, unless it is there."""
        def make() -> None:
            if self._client.find(POD, "kube-system", self.server.name) is None:
                self._client.create(self._static, POD, "kube-system")
                self._run("kube-system", self.server.name)
        self._try(make)

    def _server_changed(self) -> None:
        """The API server on this node started, became ready or ended: its Pod says so, as soon as one answers."""
        if self.address != self.server.address:
            self.address = self.server.address
            self._try(self._say_status)
        if not self.server.running:
            self._ended = self._clock.stamp()
        self._restarts = self.server.starts - 1
        self._clock.after(0, lambda: self._try(lambda: self._run("kube-system", self.server.name)))

    def _changed(self, event: Event) -> None:
        pod, key = event.obj, (namespace_of(event.obj), name_of(event.obj))
        if dig(pod, "spec", "nodeName") != self.node:
            return
        mirror = MIRROR_NOTE in (pod["metadata"].get("annotations") or {})
        if event.type == "DELETED":
            if mirror and self.server:
                self._mirror()
        elif dig(pod, "metadata", "deletionTimestamp"):
            self._clock.after(0 if mirror else STOP, lambda: self._try(lambda: self._client.delete(POD, *key, 0)))
        elif not dig(pod, "status", "podIP") and not mirror:
            self._clock.after(START, lambda: self._try(lambda: self._run(*key)))

    def _run(self, namespace: str, name: str) -> None:
        """Say that a Pod runs, and where."""
        pod = self._client.get(POD, namespace, name)
        old = copied(pod["status"])
        static = bool(self.server) and name == self.server.name
        up = self.server.running if static else True
        ready = self.server.state == "ready" if static else True
        ip = self.address if dig(pod, "spec", "hostNetwork") else old.get("podIP") or self._free(namespace, name)
        started = old.get("startTime") or self._clock.stamp()
        containers = [self._container(one, index, up, ready, static) for index, one in
                      enumerate(pod["spec"]["containers"])]
        states = {"PodReadyToStartContainers": True, "Initialized": True, "Ready": ready, "ContainersReady": ready,
                  "PodScheduled": True}
        before = {one["type"]: one for one in old.get("conditions", [])}
        conditions = [before[kind] if kind in before and before[kind]["status"] == str(on) else
                      {"type": kind, "status": str(on), "lastProbeTime": None,
                       "lastTransitionTime": self._clock.stamp()} for kind, on in states.items()]
        pod["status"] = {"phase": "Running", "hostIP": self.address, "podIP": ip, "podIPs": [{"ip": ip}],
                         "qosClass": "BestEffort", "startTime": started, "conditions": conditions,
                         "containerStatuses": containers}
        self._client.update(pod, POD, namespace, status=True)
        if not old.get("podIP") and not static:
            record(self._client, pod, "Started", f"Container started: {containers[0]['name']}", "kubelet")

    def _container(self, spec: Mapping, index: int, up: bool, ready: bool, static: bool) -> dict:
        restarts = self._restarts if static else 0
        ended = {"finishedAt": self._ended} if self._ended else {}
        killed = {"terminated": {"exitCode": 137, "reason": "Error"} | ended}
        state = {"running": {"startedAt": self._clock.stamp()}} if up else killed
        last = killed if restarts and up else {}
        digest = hashlib.sha256(f"{self.node}/{spec['name']}/{index}/{restarts}".encode()).hexdigest()
        return {"containerID": f"containerd://{digest}", "image": spec["image"], "imageID": "", "lastState": last,
                "name": spec["name"], "ready": ready, "restartCount": restarts, "started": up, "state": state}

    def _free(self, namespace: str, name: str) -> str:
        """The address that is kept for a Pod, or the first that no Pod has and none is promised."""
        if promised := self._wanted.get((namespace, name)):
            return promised
        taken = {dig(pod, "status", "podIP") for pod in self._pods.items.values()} | set(self._wanted.values())
        return next(str(one) for one in self._hosts if str(one) not in taken)
