"""The capstone: a cluster that nobody has seen, made from a seed, with two faults in one node's rules.

    cluster = capstone("your name")
    cluster.ask("pod", "10.43.0.1:443")      where the packets go
    cluster.chains("default/kubernetes")     the Service's chains
    cluster.after("iptables …")              the same cluster, after these commands
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path

from k8slab import cli, iptables
from k8slab.course.capstone.dice import Dice, seed_text
from k8slab.course.capstone.drawn import SERVICES, Drawn, draw
from k8slab.course.capstone.faulty import Fault, broken, put_two
from k8slab.course.capstone.network import lab as lab_of
from k8slab.course.capstone.survey import ENDS, Fate, fates, survey
from k8slab.course.capstone.work import AskError, asked, changed
from k8slab.course.widgets import Panel
from k8slab.iptables import Ruleset
from k8slab.kubeproxy.objects import ServicePort
from k8slab.lab import Lab
from k8slab.model.chance import Seeded
from k8slab.show.chainmap import ChainMap, chain_map
from k8slab.show.grid import Column, Table
from k8slab.trace import Trace


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """What becomes of a question: `fates`, with the share of each, and one `trace` of those that chance can make."""

    asked: str
    fates: dict[Fate, float]
    trace: Trace

    @property
    def table(self) -> Table:
        """The ways of the packet, the most frequent first."""
        columns = (Column("Share", number=True), Column("Fate"), Column("Destination"), Column("Source"))
        ways = sorted(self.fates.items(), key=lambda way: (-round(way[1], 6), str(way[0])))
        return Table(self.asked, columns, tuple(
            (f"{share:.3f}", ENDS.get(one.verdict, "goes on"), one.destination, one.source) for one, share in ways))

    def __repr__(self) -> str:
        return str(self.table)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return self.table._repr_mimebundle_()


@dataclass(frozen=True, slots=True, repr=False)
class Work:
    """A learner's answer about a cluster: `about` says which."""

    cluster: Capstone
    about: str
    answer: object


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Capstone:
    """A cluster, and the rules of one of its nodes. `seed`: what it was made from.

    `ruleset`: the rules as they are now; `faults`, `true`: what was done to them, and what they should be, for those
    who grade.
    """

    seed: str
    drawn: Drawn
    ruleset: Ruleset
    true: Ruleset = field(repr=False)
    faults: tuple[Fault, ...] = field(repr=False)

    @property
    def about(self) -> tuple[str, ...]:
        """What is known of the cluster from the start, in sentences."""
        drawn = self.drawn
        objects = drawn.objects
        services = {(one.namespace, one.service) for one in objects.ports}
        rules = sum(len(chain.rules) for table in self.ruleset.tables for chain in table.chains)
        return (
            f"The cluster of the seed {self.seed!r}: {len(objects.nodes)} nodes, 3 of them control planes, "
            f"{len(services)} Services with a ClusterIP.",
            f"Services are in {drawn.service_range}, Pods in {drawn.pod_range}.",
            f"The rules are those of {drawn.node.name}, {drawn.node.addresses[0]}: {rules} rules. "
            f"Its own Pods are in {drawn.subnet}.",
            f'"pod" is a Pod there, {drawn.pod}; "node" a program on the node itself; "outside" a machine that is no '
            f"part of the cluster, {drawn.outside}.",
        )

    def __repr__(self) -> str:
        return "\n".join(self.about)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return paragraphs(self.about)._repr_mimebundle_()

    @property
    def rules(self) -> str:
        """What `iptables-save` prints on the node."""
        return str(self.ruleset)

    @property
    def objects(self) -> list[dict]:
        """The Services, EndpointSlices and Nodes, as `kubectl get -o json` has them."""
        return json.loads(json.dumps(self.drawn.items))

    @property
    def ports(self) -> tuple[ServicePort, ...]:
        """The ports of all Services that have a ClusterIP: `.namespace`, `.service`, `.cluster_ip`, `.port` and so on.
        """
        return self.drawn.objects.ports

    @property
    def reports(self) -> Panel:
        """What people say, who do not know the cause."""
        return paragraphs([f"{number}. {fault.report}" for number, fault in enumerate(self.faults, 1)])

    def services(self, words: str = "") -> Table:
        """Services and their endpoints, as the objects have them; `words`: only those whose name holds them."""
        columns = (Column("Service"), Column("Type"), Column("ClusterIP"), Column("Ports"), Column("Ready endpoints"),
                   Column("Not ready"))
        ports = [one for one in self.ports if words in one.name]
        rows = tuple(self._row(one) for one in sorted(ports, key=lambda one: one.key))
        title = f"{len(rows)} {'port of a Service' if len(rows) == 1 else 'ports of Services'}"
        return Table(title, columns, rows[:200],
                     (f"… and {len(rows) - 200} more, not shown.",) if len(rows) > 200 else ())

    def _row(self, port: ServicePort) -> tuple[str, ...]:
        ends = self.drawn.objects.endpoints.get(port.key, ())
        kind = "NodePort" if port.node_port else "ClusterIP"
        number = f"{port.port}:{port.node_port}" if port.node_port else str(port.port)
        ready, others = ([one.text for one in ends if one.ready is truth] for truth in (True, False))
        return (port.name, kind, port.cluster_ip, f"{number}/{port.protocol.upper()}",
                *(", ".join(sorted(them)) or "none" for them in (ready, others)))

    def ask(self, who: str, to: str) -> Answer:
        """Send a packet in every way in which chance can fall.

        `who`: "pod", "node", "outside", or the address of a Pod of the node. `to`: "10.43.0.1:443", or with its
        protocol "udp 10.43.0.10:53". Raises AskError for other words.
        """
        question = asked(self.drawn, who, to)
        found = {one: float(share) for one, share in fates(question, self.drawn, self.ruleset).items()}
        return Answer(str(question), found, question.walk(self.drawn, self.ruleset).trace(Seeded(1)))

    def port(self, name: str) -> ServicePort:
        """A port of a Service by its name, "shop/web:http"; without its own name the first of its ports.

        Raises AskError where there is none.
        """
        found = [one for one in self.ports if name in (one.name, f"{one.namespace}/{one.service}")]
        if not found:
            raise AskError(f"no Service with a ClusterIP is called {name!r}; a name is a namespace and the "
                           "Service's own, as in 'default/kubernetes', and may go on with its port's, ':https'")
        return found[0]

    def ready(self, port: ServicePort) -> tuple[str, ...]:
        """The endpoints, `address:port`, that the slices name as ready for a port of a Service."""
        return tuple(sorted(one.text for one in self.drawn.objects.endpoints.get(port.key, ()) if one.ready))

    def count(self) -> tuple[int, int]:
        """How many packets go where the objects say, and how many there are: each Service, asked by everybody.

        Everybody: a Pod of the node, the node itself, a machine outside, at NodePorts too, and each endpoint on the
        node.
        """
        found = survey(self.drawn, self.ruleset)
        return found.right, found.asked

    def trace(self, words: str) -> None:
        """Print what `k8slab trace` prints for these rules: `cluster.trace("--from 10.42.7.9 --to 10.43.0.1:443")`.

        Raises CommandError for a wrong command line.
        """
        print(cli.trace(self.ruleset, words))

    def chains(self, service: str) -> ChainMap | Panel:
        """The chain map of a Service, or a sentence that says that no rule is for it."""
        try:
            return chain_map(self.ruleset, service=service)
        except ValueError as error:
            return paragraphs([str(error)])

    def after(self, text: str) -> Capstone:
        """The cluster after commands on the node, one a line, or after a text for `iptables-restore --noflush`.

        Raises Refused for what the node would refuse.
        """
        return replace(self, ruleset=changed(self.ruleset, text))

    def run(self, command: str) -> str:
        """What a command of iptables prints on the node, as in `iptables -t nat -S KUBE-SERVICES`; it changes nothing.

        Raises RulesError for what iptables would refuse.
        """
        return iptables.run(self.ruleset, command)[1]

    def lab(self, *services: str) -> Lab:
        """The node with these rules in a lab, and around it the API servers and the endpoints of the Services named.

        Its hosts are `pod`, `outside`, the node by its name, and each endpoint that is a Pod there.
        """
        return lab_of(self.drawn, self.rules, services)

    def save(self, folder: str = ".") -> str:
        """Write the rules and the objects to two files, for the command line; says how they are called."""
        stem = Path(folder) / f"capstone-{file_name(self.seed)}"
        rules, objects = stem.with_suffix(".rules"), stem.with_suffix(".json")
        rules.write_text(self.rules, encoding="utf-8")
        objects.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": self.objects}, indent=1),
                           encoding="utf-8")
        return f"{rules.name}, {objects.name}"

    def claim(self, places: object) -> Work:
        """For the check: two pairs, each a Service and the chain in which its fault is."""
        return Work(self, "places", places)

    def prove(self, proofs: object) -> Work:
        """For the check: two pairs, each who asks, and whom."""
        return Work(self, "proofs", proofs)

    def mend(self, remedy: object) -> Work:
        """For the check: the commands that mend the node, or the lab that you have mended."""
        return Work(self, "mended", remedy)


def paragraphs(lines: Sequence[str]) -> Panel:
    """Sentences, each in a line of its own, to be displayed."""
    return Panel("\n".join(lines), "".join(f"<p>{escape(line, quote=False)}</p>" for line in lines))


def file_name(seed: str) -> str:
    """A seed as a part of a file's name."""
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in seed)


@functools.lru_cache(maxsize=16)
def _capstone(text: str, services: int, names: tuple[str, ...]) -> Capstone:
    dice = Dice(text)
    drawn = draw(dice, services)
    faults = put_two(drawn, dice, names)
    return Capstone(text, drawn, broken(drawn, faults), iptables.parse(drawn.rules()), faults)


def capstone(seed: int | str = 2026, *, services: int = SERVICES, kinds: tuple[str, ...] = ()) -> Capstone:
    """The cluster of a seed, a number or a name: the same for the same seed, for ever.

    `services`: how many there are. `kinds`: which two faults it has, by their names in the map, or by the seed.

    >>> capstone("Ada", services=20) is capstone(" ada", services=20)
    True

    Raises SeedError for what cannot be a seed.
    """
    return _capstone(seed_text(seed), services, kinds)
