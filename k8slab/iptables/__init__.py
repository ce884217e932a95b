"""iptables rules as values: text into a `Ruleset` and back, tests of a packet, and the `iptables` command.

    >>> rules = parse("*filter\\n:INPUT ACCEPT [0:0]\\n-A INPUT -d 10.96.0.1/32 -j DROP\\nCOMMIT\\n")
    >>> context = Context(Packet("udp", "10.244.1.5", "10.96.0.2", 40000, 53))
    >>> str(rules["filter"]["INPUT"].rules[0].check(context, ("filter", "INPUT", 1)))
    'destination address 10.96.0.2 is not 10.96.0.1'

Nothing here opens a file or a socket or asks for the time: what a test needs comes in with its `Context`.
"""

from k8slab.iptables.command import run
from k8slab.iptables.context import CannotTell, Context, Miss, Place
from k8slab.iptables.errors import RulesError
from k8slab.iptables.matches import MATCHES
from k8slab.iptables.options import Extension, Given
from k8slab.iptables.reading import read_rule
from k8slab.iptables.rule import Rule
from k8slab.iptables.ruleset import Chain, Ruleset, Table
from k8slab.iptables.targets import TARGETS, NatRange, Target
from k8slab.iptables.text import parse

__all__ = ["MATCHES", "TARGETS", "CannotTell", "Chain", "Context", "Extension", "Given", "Miss", "NatRange",
           "Place",
           "Rule", "Ruleset", "RulesError", "Table", "Target", "parse", "read_rule", "run"]
