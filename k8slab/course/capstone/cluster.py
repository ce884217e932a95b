"""The capstone: a cluster that nobody has seen, made from a seed, with two faults in one node's rules.

    cluster = capstone("your name")
    cluster.ask("pod", "10.43.0.1:443")      where the packets go
    cluster.chains("default/kubernetes")     the Service's chains
    cluster.after("iptables …")              the same cluster, after these commands
"""

from __future__ import annotations

import functools
import hashlib
import json
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path

from k8slab import cli, iptables
from k8slab.course.capstone.answer import Answer, paragraphs
from k8slab.course.capstone.chainsof import chains_of
from k8slab.course.capstone.commandline import changed, printed
from k8slab.course.capstone.dice import Dice, SeedError, seed_text
from k8slab.course.capstone.drawn import POD_NETWORK, SERVICES, Drawn, draw
from k8slab.course.capstone.faulty import Fault, broken, put_two
from k8slab.course.capstone.incidents import MAP
from k8slab.course.capstone.network import lab as lab_of
from k8slab.course.capstone.survey import Survey, fates, survey, ways
from k8slab.course.capstone.work import AskError, asked, meant, nobody, one_service
from k8slab.course.widgets import Panel
from k8slab.iptables import Ruleset
from k8slab.kubeproxy.objects import ServicePort
from k8slab.lab import Lab
from k8slab.model.chance import Seeded
from k8slab.show.chainmap import ChainMap
from k8slab.show.grid import Column, Table

MOST = 1000             # Services of a cluster, at most
KINDS = tuple(kind.name for kind in MAP)


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
    def pod_network(self) -> str:
        """The rules that the Pod network brought along, as they were written: a text for `iptables-restore`."""
        return POD_NETWORK.format(pods=self.drawn.pod_range).rstrip()

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
        """Services and their endpoints, as the objects have them.

        `words`: a name or an address, "shop/web", "shop/web:http", "web" or "10.43.7.1", or else a part of names.
        Raises AskError for what is no text.
        """
        columns = (Column("Service"), Column("Type"), Column("ClusterIP"), Column("Ports"), Column("Ready endpoints"),
                   Column("Not ready"))
        ports = meant(self.ports, words)
        rows = tuple(self._row(one) for one in sorted(ports, key=lambda one: one.key))
        title = f"{len(rows)} {'port of a Service' if len(rows) == 1 else 'ports of Services'}"
        notes = (f"… and {len(rows) - 200} more, not shown.",) if len(rows) > 200 else ()
        return Table(title, columns, rows[:200], notes if rows else (f"N{nobody(words)[1:]}.",))

    def _row(self, port: ServicePort) -> tuple[str, ...]:
        ends = self.drawn.objects.endpoints.get(port.key, ())
        kind = "NodePort" if port.node_port else "ClusterIP"
        number = f"{port.port}:{port.node_port}" if port.node_port else str(port.port)
        ready, others = ([one.text for one in ends if one.ready is truth] for truth in (True, False))
        return (port.name, kind, port.cluster_ip, f"{number}/{port.protocol.upper()}",
                *(", ".join(sorted(them)) or "none" for them in (ready, others)))

    def ask(self, who: str, to: str) -> Answer:
        """Send a packet in every way in which chance can fall, and the answer to it back through the node.

        `who`: "pod", "node", "outside", or the address of a Pod or of another machine. `to`: "10.43.0.1:443", or with
        its protocol "udp 10.43.0.10:53". Raises AskError for other words.
        """
        question = asked(self.drawn, who, to)
        found = {one: float(share) for one, share in fates(question, self.drawn, self.ruleset).items()}
        bad = next((trace for _, one, trace in ways(question, self.drawn, self.ruleset) if one.answer), None)
        return Answer(str(question), found, bad or question.walk(self.drawn, self.ruleset).trace(Seeded(1)))

    def port(self, name: str) -> ServicePort:
        """A port of a Service by its name, "shop/web:http"; without its own name the first of its ports.

        `name`: as for `services`. Raises AskError where no Service is meant, or more than one.
        """
        return one_service(self.ports, name)[0]

    def ready(self, port: ServicePort | str) -> tuple[str, ...]:
        """The endpoints, `address:port`, that the slices name as ready for a port of a Service, or for its name.

        Raises AskError for a name that no Service has.
        """
        one = port if isinstance(port, ServicePort) else self.port(port)
        return tuple(sorted(one.text for one in self.drawn.objects.endpoints.get(one.key, ()) if one.ready))

    def count(self) -> tuple[int, int]:
        """How many packets go where the objects say, and how many there are: each Service, asked by everybody.

        Everybody: two Pods of the node, one of another node, a program on the node, two machines outside, and each
        endpoint on the node, its own Service alone. Pods, the node and a machine outside ask NodePorts, too.
        """
        found = examined(self)
        return found.right, found.asked

    def trace(self, words: str) -> None:
        """Print what `k8slab trace` prints for these rules: `cluster.trace("--from 10.42.7.9 --to 10.43.0.1:443")`.

        Raises CommandError for a wrong command line, AskError for what is no text.
        """
        if not isinstance(words, str):
            raise AskError(f"the options are {words!r}; a text is wanted, as in '--from 10.42.7.9 --to 10.43.0.1:443'")
        print(cli.trace(self.ruleset, words))

    def chains(self, service: str) -> ChainMap | Panel:
        """The chain map of a Service, and a sentence where no rule leads to its chains, or none is there.

        `service`: as for `services`. Raises AskError where no Service is meant, or more than one.
        """
        ports = one_service(self.ports, service)
        name = ports[0].name if len(ports) == 1 else f"{ports[0].namespace}/{ports[0].service}"
        return chains_of(self.ruleset, name, ports)

    def after(self, text: str) -> Capstone:
        """The cluster after commands on the node, one a line, or after a text for `iptables-restore --noflush`.

        Raises Refused for what the node would refuse, AskError for what is no text.
        """
        return replace(self, ruleset=changed(self.ruleset, text))

    def run(self, command: str) -> str:
        """What a command prints on the node, as in `iptables -t nat -S KUBE-SERVICES | head`; it changes nothing.

        Raises AskError for what is neither iptables nor iptables-save, RulesError for what iptables would refuse, and
        CommandError for a wrong pipe.
        """
        return printed(self.ruleset, command)

    def lab(self, *services: str) -> Lab:
        """The node with these rules in a lab, and around it the API servers and the endpoints of the Services named.

        Its hosts are `pod`, `outside`, the node by its name, and each endpoint that is a Pod there. `services`: as for
        `services`. Raises AskError where no Service is meant, or more than one.
        """
        ports = [one_service(self.ports, one)[0] for one in services]
        return lab_of(self.drawn, self.rules, [f"{one.namespace}/{one.service}" for one in ports])

    def save(self, folder: str = ".") -> str:
        """Write the rules and the objects to two files, for the command line; says how they are called.

        Raises AskError where they cannot be written.
        """
        texts = {"rules": self.rules,
                 "json": json.dumps({"apiVersion": "v1", "kind": "List", "items": self.objects}, indent=1)}
        names = [f"capstone-{file_name(self.seed)}.{kind}" for kind in texts]
        try:
            for name, text in zip(names, texts.values()):
                (Path(folder) / name).write_text(text, encoding="utf-8")
        except (OSError, TypeError) as error:
            raise AskError(f"the folder is {folder!r}, and nothing can be written there: "
                           f"{getattr(error, 'strerror', None) or error}") from None
        return ", ".join(names)

    def claim(self, places: object) -> Work:
        """For the check: two pairs, each a Service and the chain in which its fault is."""
        return Work(self, "places", places)

    def prove(self, proofs: object) -> Work:
        """For the check: two pairs, each who asks, and whom."""
        return Work(self, "proofs", proofs)

    def mend(self, remedy: object) -> Work:
        """For the check: the commands that mend the node, or the lab that you have mended."""
        return Work(self, "mended", remedy)


def file_name(seed: str) -> str:
    """A seed as a part of a file's name: its letters and digits, of any script.

    Signs that are neither become "-"; where they are more than spaces and the like, some letters more tell two such
    seeds apart.

    >>> file_name("each 5"), file_name("a/b") == file_name("a:b")
    ('each-5', False)
    """
    keeps = [one if unicodedata.category(one)[0] in "LMN" else "-" for one in seed]
    lossy = any(new != one and one not in " _" for new, one in zip(keeps, seed))
    return "".join(keeps) + (f"-{hashlib.sha256(seed.encode()).hexdigest()[:6]}" if lossy else "")


@functools.lru_cache(maxsize=16)
def examined(cluster: Capstone) -> Survey:
    """The survey of a cluster with the rules that it has."""
    return survey(cluster.drawn, cluster.ruleset)


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

    Raises SeedError for what cannot be a seed, or no number of Services, and for faults that this cluster cannot have.
    """
    if isinstance(services, bool) or not isinstance(services, int) or not 5 <= services <= MOST:
        raise SeedError(f"services is {services!r}; a whole number from 5 to {MOST} is wanted")
    names = tuple(kinds) if isinstance(kinds, (list, tuple)) else kinds
    if names and not (isinstance(names, tuple) and len(names) == 2 and all(one in KINDS for one in names)):
        raise SeedError(f"kinds is {kinds!r}; two names are wanted, of {', '.join(KINDS)}")
    return _capstone(seed_text(seed), services, names or ())
