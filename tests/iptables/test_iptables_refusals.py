"""What the model prints when it refuses a command is what the real iptables prints."""

from __future__ import annotations

import re
import shlex

import pytest

from k8slab.errors import CommandError
from k8slab.iptables import parse, run
from k8slab.iptables.errors import RulesError
from k8slab.iptables.refusals import REFUSALS, refused
from tests.iptables import real

CHAINS = """*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:SVC - [0:0]
:USED - [0:0]
:M - [0:0]
-A PREROUTING -s 10.9.9.9 -j SVC
-A SVC -j USED
-A M -j MASQUERADE
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
"""
LONG_NAME = "KUBE-SVC-NPX46M4PTMTKRN6YABCDEF"
NAT = f"""
-A PREROUTING -d 10.96.0.1 --dport 443 -j ACCEPT
-A NOPE -j ACCEPT
-D NOPE 1
-F NOPE
-S NOPE
-L NOPE
-X NOPE
-Z NOPE
-N PREROUTING
-N SVC
-N ACCEPT
-N {LONG_NAME}
-A {LONG_NAME} -j ACCEPT
-D PREROUTING 2
-D PREROUTING 0
-D PREROUTING x
-R PREROUTING 3 -j ACCEPT
-I PREROUTING 3 -j ACCEPT
-D PREROUTING -d 10.96.0.1 -j ACCEPT
-C PREROUTING -d 10.96.0.1 -j ACCEPT
-A PREROUTING -j NOPE
-I OUTPUT -j nope
-A PREROUTING -d 10.96.0.300 -j ACCEPT
-A PREROUTING -d fd00::1 -j ACCEPT
-A PREROUTING -d 10.0.0.0/33 -j ACCEPT
-A PREROUTING -s ! 10.0.0.1 -j ACCEPT
-A PREROUTING -d 1.1.1.1 -d 2.2.2.2 -j ACCEPT
-A PREROUTING -p tpc -j ACCEPT
-A PREROUTING -p tcp --dport 70000 -j ACCEPT
-A PREROUTING -p tcp --dport htps -j ACCEPT
-A PREROUTING -p tcp --dport 9:5 -j ACCEPT
-A PREROUTING -m tcp --dport 4 -j ACCEPT
-A POSTROUTING -j DNAT --to-destination 10.0.0.1
-A PREROUTING -j MASQUERADE
-I PREROUTING -j M
-A PREROUTING -j REJECT
-A PREROUTING -j DROP
-A PREROUTING -j DNAT
-A PREROUTING -j MARK
-A PREROUTING -j MARK --set-mark zz
-A PREROUTING -m comment -j ACCEPT
-A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1:99999
-A PREROUTING -j DNAT --to-destination 10.0.0.1:80
-A PREROUTING -j DNAT --to-destination 10.0.0.300
-A PREROUTING --to-destination 1.1.1.1 -j DNAT
-P PREROUTING NOPE
-P PREROUTING DROP
-P NOPE ACCEPT
-A PREROUTING -o eth0 -j ACCEPT
-A POSTROUTING -i eth0 -j ACCEPT
-A PREROUTING -m nope -j ACCEPT
-A PREROUTING -m conntrack --ctstate NEWW -j ACCEPT
-A PREROUTING -m statistic --mode random --probability 2 -j ACCEPT
-X USED
-X SVC
-A SVC -j PREROUTING
-A SVC -j SVC
-A PREROUTING ACCEPT
-A PREROUTING -j
-A PREROUTING -j ACCEPT -j DROP
-A PREROUTING -p tcp -d
-A PREROUTING --wrong
-A PREROUTING -A OUTPUT
-A
--wrong
PREROUTING -j ACCEPT
""".strip().splitlines()
COMMANDS = [*(f"-t nat {line}" for line in NAT), "-t nope -S", "-t nat", "-A INPUT -j MASQUERADE"]


def ours(command: str) -> CommandError | RulesError:
    words = shlex.split(command)
    with pytest.raises(RulesError) as caught:
        run(parse(CHAINS), words)
    return refused(caught.value, words)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_mistake_that_is_tried_has_the_programs_words(command: str) -> None:
    assert isinstance(ours(command), CommandError)


def test_a_mistake_whose_words_are_not_known_keeps_ours() -> None:
    error = RulesError("is odd", "make it even", "7")
    assert refused(error, ["-A", "INPUT"]) is error
    assert len({pattern for pattern, *_ in REFUSALS}) == len(REFUSALS)


@pytest.mark.kernel
def test_the_real_program_prints_the_same_and_ends_with_the_same_status() -> None:
    script = "exec 2>&1; iptables-restore\n" + "".join(
        f"echo '>>>'; iptables {command}; echo \"<$?>\"\n" for command in COMMANDS)
    printed = real.inside(script, CHAINS).stdout
    said = [re.match(r"\n(.*)\n?<(\d+)>\n", part, re.DOTALL).groups() for part in printed.split(">>>")[1:]]
    version = re.compile(r"iptables v[\d.]+ \(nf_tables\)")
    theirs = [(version.sub("iptables v1.8.9 (nf_tables)", words.strip()), int(status)) for words, status in said]
    for command, real_words in zip(COMMANDS, theirs, strict=True):
        error = ours(command)
        assert (error.printed.strip(), error.status) == real_words, command
