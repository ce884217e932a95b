"""Lab: a cluster's network and a dataplane together, which is what a notebook holds in its hand."""

from __future__ import annotations

import functools
import json
import re
import weakref
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib import resources
from typing import TYPE_CHECKING

from k8slab import iptables
from k8slab.entry import Entry
from k8slab.conversation import Conversation
from k8slab.dataplanes import LabError, builder, is_real
from k8slab.dialling import told
from k8slab.inputs import checked
from k8slab.kubeproxy import Config, Node, Objects, Proxier, pod_cidr, read_objects, saved
from k8slab.iptables import Ruleset
from k8slab.machines import CNI_RULES, Machines, clusters
from k8slab.magic import remember
from k8slab.network import POD_RANGE, Network, cluster_network
from k8slab.packet import Packet
from k8slab.pipes import alone, split, through
from k8slab.trace import Trace

if TYPE_CHECKING:
    from k8slab.application import Application
    from k8slab.cluster.cluster import Cluster
    from k8slab.kernel.dataplane import Kernel
    from k8slab.model.dataplane import Clock, Model
    from k8slab.names import Resolved
    from scapy.packet import Packet as ScapyPacket

# What a real kube-proxy 1.36.2 wrote for a cluster with nothing but the `kubernetes` Service.
RULES, OBJECTS = "01-kubernetes.iptables-save", "01-kubernetes.objects.json"
# kube-proxy counts some packets with nfacct where the kernel has the accounting objects; they are
# the host's and not a namespace's, so that in a lab, as in a container, it leaves these words out.
NFACCT = re.compile(r" -m nfacct --nfacct-name +\S+")


def kube_proxy_rules(name: str = RULES) -> str:
    """The rules that a real kube-proxy wrote on a recorded node, as `iptables-save` text without nfacct.

    >>> "KUBE-SVC-NPX46M4PTMTKRN6Y" in kube_proxy_rules()
    True

    Raises LabError when there is no recording of that name.
    """
    folder = resources.files("k8slab") / "data" / "golden"
    try:
        return NFACCT.sub("", (folder / name).read_text(encoding="ascii"))
    except FileNotFoundError:
        names = ", ".join(sorted(f.name for f in folder.iterdir() if f.name.endswith(".iptables-save")))
        raise LabError(f"there is no recording {name}; there are {names}") from None


@functools.cache
def kubernetes_service() -> Objects:
    """The objects of a cluster that has just been made: the Service `kubernetes` and its EndpointSlice."""
    text = (resources.files("k8slab") / "data" / "golden" / OBJECTS).read_text(encoding="utf-8")
    return read_objects(json.loads(text)["items"])


@functools.cache
def node_rules(name: str, address: str, cni_masquerade: bool = False) -> str:
    """What kube-proxy writes on one node for the Service `kubernetes`, as `iptables-save` prints it.

    `cni_masquerade`: with the rule by which most network plugins give packets that leave the Pod range the node's
    source; kube-proxy has no part in it.

    >>> node_rules("worker1", "10.106.175.131") == kube_proxy_rules()
    True
    """
    config = Config(Node(name, (address,)), pod_cidr(POD_RANGE))
    text = saved(config, Proxier(config).sync(kubernetes_service()).text)
    return str(iptables.parse(text).restore(CNI_RULES, noflush=True).normal()) if cni_masquerade else text


@checked
class Lab:
    """Two nodes, their Pods, an API server, a router and a client outside, with kube-proxy's rules on each node.

    `dataplane`: "model", or "auto", which takes what K8SLAB_DATAPLANE says, else the best there is.
    `seed`: what chance is drawn from. `network`, `rules`: another cluster than the lab's own; `rules` is
    `iptables-save` text for every node. `cni_masquerade`: whether the network plugin has a rule of its own, as
    most have, that gives what leaves the Pod range the node's source.

    `cluster`: a control plane behind the rules: True for one with one API server, a Cluster, or a function that makes
    one. Then the network is drawn from its nodes and Pods, to which the lab adds its own, and each node's kube-proxy
    follows it; `first_sync`: seconds until those first write, of all or by the node's name. A reset makes the cluster
    anew, too: one that was given with its arguments, and without what was done to it afterwards. `control_plane`:
    "real" for etcd and kube-apiserver themselves, on the kernel, where both are on the PATH; time is then the machine's
    own.

    >>> with Lab(seed=1) as lab:
    ...     print(lab.connect("client", "10.96.0.1", 443).summary())
    10.244.1.5:40000 asked 10.96.0.1:443; 10.106.175.128:6443 answered, and the answer came back as 10.96.0.1:443.

    Raises LabError for a dataplane that is not there, RulesError for rules that iptables would refuse.
    """

    def __init__(self, dataplane: str = "auto", *, seed: int = 0, network: Network | None = None,
                 rules: str | None = None, cni_masquerade: bool = False,
                 cluster: bool | Cluster | Callable[[], Cluster] = False, first_sync: float | Mapping[str, float] = 0.0,
                 control_plane: str = "lab") -> None:
        if cluster and (network or rules):
            raise LabError("a lab with a cluster draws its network and its rules from it: leave network and rules out")
        self._real = is_real(control_plane, bool(network or rules or cluster))
        dataplane = "kernel" if self._real and dataplane == "auto" else dataplane
        self._seed, self._cni, self._first_sync = seed, cni_masquerade, first_sync
        self._build, self._plane, self._machines = builder(dataplane), None, None
        self._clusters = clusters(cluster, seed) if cluster else None
        if not cluster and not self._real:
            self._drawn = network or cluster_network()
            self._rules = {host.name: rules or node_rules(host.name, host.address, cni_masquerade)
                           for host in self._drawn.hosts if host.kind == "node"}
        self.reset()
        remember(self)

    def reset(self) -> None:
        """Build everything anew: cluster, wiring, rules, connections, time and chance as they were at the start."""
        old = self._plane
        if self._real:
            from k8slab.realplane import RealMachines  # it brings cryptography
            self._machines = RealMachines(_bare(self._build, self._seed))
            self._plane = self._machines.dataplane
        elif self._clusters:
            bare = _bare(self._build, self._seed)
            self._machines = Machines(next(self._clusters), bare, self._first_sync, self._cni)
            self._plane = self._machines.dataplane
        else:
            parsed = {text: iptables.parse(text, "rules") for text in set(self._rules.values())}
            rules = {name: parsed[text] for name, text in self._rules.items()}
            self._plane = self._build(self._drawn, rules, self._seed)
        weakref.finalize(self, self._plane.close)        # a lab that nobody holds any more lets go at once
        if old:
            old.close()

    @property
    def dataplane(self) -> Model | Kernel:
        """What the packets go through, as the cluster, if there is one, has made it by now."""
        if self._machines:
            self._machines.follow()
        return self._plane

    @property
    def cluster(self) -> Cluster:
        """The control plane behind the rules. Raises LabError where the lab was made without."""
        if not self._machines:
            raise LabError("this lab has no cluster behind its rules; one that has: Lab(cluster=True)")
        return self._machines.cluster

    @property
    def syncs(self) -> dict[str, list]:
        """What each node's kube-proxy wrote, and at which second of the cluster's clock: node to (second, Sync)."""
        return self._machines.syncs if self._machines else {}

    def advance(self, seconds: float) -> None:
        """Let this many seconds pass, for the cluster and for what the nodes remember of connections."""
        if self._machines:
            self._machines.cluster.advance(seconds)
            self._machines.follow()
        else:
            self._plane.clock.advance(seconds)

    def kubectl(self, command: str, given: str = "", seconds: float = 0.0) -> str:
        """What a kubectl command prints, errors and all; it may end in pipes, as in `get svc -A | grep kube`.

        `given`: what `-f -` reads; `seconds`: how long `-w` watches, by which time goes on. Raises CommandError for a
        pipe that is not known.
        """
        line, *stages = split(command)
        through("", stages)                       # a wrong pipe is told before the command is run
        answer = self.cluster.kubectl(line, given, seconds)
        self._machines.follow()
        return answer.err + through(answer.out, stages) if stages else "".join(text for _, text in answer.parts)

    def dial(self, pod: str, address: str, port: int) -> str:
        """Open a connection and say in a client library's words what came of it: who answered, or Go's error."""
        return told(self.connect(pod, address, port), address, port)

    def application(self, pod: str, namespace: str = "default") -> Application:
        """A program in a Pod, with what kubelet gives it: it asks the API server over HTTPS.

        Raises LabError where the lab has no cluster, ApiError where the cluster has no such Pod.
        """
        from k8slab.application import application     # with it come certificates, TLS and tornado
        return application(self.cluster, self._machines, pod, namespace)

    def resolve(self, pod: str, name: str, kind: str = "A") -> Resolved:
        """Ask kube-dns for a full name, over UDP and by the rules: the records, and the Trace of the question.

        Raises LabError where there is no Service kube-dns, NoName for what DNS cannot carry.
        """
        from k8slab.names import PORT, question, read  # with the cluster comes its certificates' library
        server = self.cluster.dns_address
        if not server:
            raise LabError("there is no Service kube-dns in kube-system to ask")
        asked = question(name, kind)
        self._machines.prepare(asked)
        return read(self.connect(pod, server, PORT, proto="udp", question=asked))

    @property
    def clock(self) -> Clock:
        """The dataplane's time, which `lab.clock.advance(seconds)` moves; `lab.advance` moves the cluster's with it."""
        return self.dataplane.clock

    @property
    def network(self) -> Network:
        """The network as it is wired now."""
        return self.dataplane.network

    def send(self, packet: Packet | ScapyPacket, at: str = "client") -> Trace:
        """Send one packet, ours or scapy's, from a host, and follow it and its answers."""
        if not isinstance(packet, Packet):
            from k8slab.wire import from_scapy  # importing scapy takes longer than building the lab
            packet = from_scapy(packet)
        if self._machines and packet.proto == "udp":
            self._machines.prepare(packet.payload)
        return self.dataplane.send(packet, at)

    def connect(self, pod: str, address: str, port: int, *, proto: str = "tcp", sport: int | None = None,
                question: bytes = b"who answers?") -> Trace:
        """Open a connection from a Pod, ask, hear the answer and close; for udp, ask and hear the answer."""
        return self.dataplane.connect(pod, address, port, proto=proto, sport=sport, question=question)

    def open(self, pod: str, address: str, port: int) -> Conversation:
        """Open a connection that stays open: `.ask()` asks over it, `.close()` closes it, each a Trace."""
        return Conversation(self.dataplane, pod, address, port)

    def ping(self, pod: str, address: str) -> Trace:
        """Send one ICMP echo request from a Pod."""
        return self.dataplane.ping(pod, address)

    def connections(self, n: int, pod: str, address: str, port: int) -> Counter[str]:
        """Open `n` connections and count which endpoint answered."""
        return self.dataplane.connections(n, pod, address, port)

    def run(self, node: str, command: str, given: str = "") -> str:
        """Run a command on a node or in a Pod, with `given` on its standard input; what it prints.

        Raises CommandError for one that fails or is not known, RulesError for what iptables would refuse.
        """
        alone(command)
        return self.dataplane.run(node, command, given)

    def serve(self, host: str, port: int, proto: str = "tcp") -> None:
        """Start a program on a host that listens on a port, "tcp" or "udp", and answers whoever asks."""
        self.dataplane.serve(host, port, proto)

    def unserve(self, host: str, port: int, proto: str = "tcp") -> None:
        """End the program that listens on a host's port."""
        self.dataplane.unserve(host, port, proto)

    def capture(self, host: str, interface: str) -> AbstractContextManager[list[ScapyPacket]]:
        """Capture what comes by an interface inside a `with` block, ARP too; the list is filled at its end.

        >>> lab = Lab("model")
        >>> with lab.capture("web", "eth0") as frames:
        ...     _ = lab.ping("client", "10.244.1.7")
        >>> print(frames[0].summary())
        Ether / ARP who has 10.244.1.7 says 10.244.1.1
        """
        return self.dataplane.capture(host, interface)

    def restore(self, node: str, text: str, *, noflush: bool = False) -> None:
        """Feed text to `iptables-restore` on a node."""
        self.dataplane.restore(node, text, noflush=noflush)

    def entries(self, node: str) -> tuple[Entry, ...]:
        """The node's conntrack entries."""
        return self.dataplane.entries(node)

    def close(self) -> None:
        """Let go of everything."""
        if self._real and self._plane.holder.close.alive:
            self._machines.cluster.close()
        self._plane.close()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        hosts = ", ".join(f"{h.name} {h.address}" for h in self.network.hosts)
        return f"Lab on the {type(self.dataplane).__name__.lower()}: {hosts}"


def _bare(build: Callable[..., Model | Kernel], seed: int) -> Callable[[Network], Model | Kernel]:
    """What makes a network as it is before any kube-proxy has written; it does not hold the lab."""
    return lambda network: build(
        network, {host.name: Ruleset() for host in network.hosts if host.kind == "node"}, seed)
