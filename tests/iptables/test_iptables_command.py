"""The `iptables` command: what it changes and what it prints, beside the real program."""

import re
import shlex
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

import k8slab
from k8slab.iptables import Ruleset, RulesError, parse, run
from tests.iptables import real
from tests.iptables.rules_strategy import rules
from tests.iptables.test_iptables_text import of_one_table

FOLDER = Path(k8slab.__file__).parent / "data" / "golden"
GOLDEN = [FOLDER / f"{name}.iptables-save" for name in ("01-kubernetes", "05-affinity", "06-nodeport")]
LISTINGS = (
    "-S",
    "-L",
    "-nL",
    "-nvL",
    "-nvL --line-numbers",
    "-nxvL",
    "-vS",
    "-S {chain}",
    "-S {chain} 1",
    "-nL {chain} 1",
    "-nvL {chain}",
    "--list-rules {chain}",
    "-v -n -L {chain} --line-numbers",
     "-w 5 -S")

# A session: each command is run on both sides, and so is what shows its effect.
SESSION = """
-N WEB
-A INPUT -p tcp --dport 443 -m comment --comment 'to the web' -j WEB
-A INPUT -s 10.96.0.0/12 ! -d 10.0.0.1 -i lo -p udp --dport 53 -j DROP
-I INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-I INPUT 2 -m mark --mark 0x4000/0x4000 -j RETURN
-A WEB -j REJECT
-I WEB 1 -s 127.0.0.1 -j ACCEPT
-R WEB 2 -m limit --limit 5/min -j LOG --log-prefix 'web: '
-A WEB ! -p icmp -g WEB2
-N WEB2
-A WEB ! -p icmp -g WEB2
-E WEB SITE
-C INPUT -p tcp -m tcp --dport 443 -m comment --comment 'to the web' -j SITE
-C INPUT -p tcp -j SITE
-D INPUT -m mark --mark 0x4000/0x4000 -j RETURN
-D INPUT 2
-D INPUT 9
-P FORWARD DROP
-P SITE DROP
-X WEB2
-F SITE
-X WEB2
-X WEB2
-N INPUT
-A NONE -j ACCEPT
-A INPUT -j NONE
-I INPUT 9 -j DROP
-R INPUT 9 -j DROP
-t nat -A PREROUTING -d 10.96.0.1 -p tcp --dport 443 -j DNAT --to-destination 10.106.175.128:6443
-t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE --random-fully
-t nat -A POSTROUTING -j DNAT --to-destination 10.0.0.1
-t nat -P PREROUTING DROP
-t nat -I PREROUTING -j MARK --or-mark 0x4000
-t nat -F PREROUTING
--append OUTPUT --destination 10.96.0.10 --protocol udp --jump ACCEPT
--delete OUTPUT 1
-Z
-X
-F
-X
"""


@pytest.mark.kernel
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
@pytest.mark.parametrize("listing", LISTINGS)
def test_listing_a_golden_dump_is_the_real_program_s(path, listing):
    text = re.sub(r" -m nfacct --nfacct-name  \S+", "", path.read_text())
    for table, chain in (("nat", "KUBE-SERVICES"), ("filter", "FORWARD")):
        command = f"iptables -t {table} {listing.format(chain=chain)}"
        assert run(parse(text), command)[1] == real.inside(f"iptables-restore; {command}", text).stdout


@pytest.mark.kernel
@pytest.mark.parametrize("listing", ["-S", "-nvL"])
def test_listing_generated_rules_is_the_real_program_s(listing):
    drawn = []

    @settings(max_examples=180, database=None, derandomize=True, deadline=None,
              suppress_health_check=list(HealthCheck))
    @given(rules(kernel=True))
    def collect(pair):
        drawn.append(pair)

    collect()
    text = of_one_table(drawn)
    for table in ("mangle", "raw", "filter", "nat"):
        ours = run(parse(text), f"iptables -t {table} {listing}")[1]
        theirs = real.inside(f"iptables-restore && iptables -t {table} {listing}", text).stdout
        assert len(theirs.splitlines()) > 6
        assert ours.splitlines() == theirs.splitlines()


@pytest.mark.kernel
@pytest.mark.parametrize("show", ["iptables-save", "iptables -L; iptables -t nat -nvL"])
def test_a_session_goes_as_with_the_real_program(show):
    """After each command both say yes or no alike, and what they show is alike."""
    commands = SESSION.strip().splitlines()
    script = "\n".join(f"iptables {line} >/dev/null 2>&1 && echo yes || echo no\n"
                       f"{show} | grep -v '^#'; echo ===" for line in commands)
    theirs = real.inside(
        f"iptables -t nat -S >/dev/null; iptables -S >/dev/null; {script}").stdout.split("===\n")[:-1]
    rules, said = Ruleset(), []
    for line in commands:
        try:
            rules, answer = run(rules, f"iptables {line}")[0], "yes\n"
        except RulesError:
            answer = "no\n"
        shown = str(rules.normal()) if show == "iptables-save" else "".join(
            run(rules, command)[1] for command in show.split(";"))
        said.append((line, answer + shown))
    assert len(theirs) == len(said) and {answer.split()[0] for answer in theirs} == {"yes", "no"}
    for (line, ours), real_one in zip(said, theirs):
        assert ours.splitlines() == sorted_tables(real_one, ours), line


def sorted_tables(text, like):
    """The real listing, without tables that it made by being asked and we do not have."""
    if "\n*" not in text:
        return text.splitlines()
    head, *tables = text.split("*")
    return (head + "".join(f"*{table}" for table in tables if f"*{table.split()[0]}\n" in like)).splitlines()


@pytest.mark.kernel
def test_counters_are_shortened_as_by_the_real_program():
    numbers = (0, 99999, 100000, 100499, 100500, 9999499, 9999500, 12345678901234, 99999999999999)
    lines = [f"[{number}:{number}] -A INPUT -s 10.0.0.{at}" for at, number in enumerate(numbers)]
    text = "\n".join(["*filter", ":INPUT ACCEPT [123456:1234567890]", *lines, "COMMIT", ""])
    for listing in ("-nvL INPUT", "-nvxL INPUT", "-vS INPUT"):
        theirs = real.inside(f"iptables-restore -c; iptables {listing}", text).stdout
        assert run(parse(text), f"iptables {listing}")[1].splitlines() == theirs.splitlines()


def test_commands_give_new_rules_and_leave_the_old():
    old = parse(GOLDEN[0].read_text())
    new, printed = run(old, "iptables -t nat -I KUBE-SERVICES 1 -m comment --comment '-t x'")
    assert printed == "" and len(
        new["nat"]["KUBE-SERVICES"].rules) == len(old["nat"]["KUBE-SERVICES"].rules) + 1
    assert new["nat"]["KUBE-SERVICES"].rules[0].text == '-A KUBE-SERVICES -m comment --comment "-t x"'
    assert str(old) == GOLDEN[0].read_text()


@pytest.mark.parametrize(("command", "said"), [
    ("iptables -C INPUT -j DROP", "iptables: Bad rule (does a matching rule exist in that chain?)"),
    ("iptables -D INPUT 7", '"7" is not the number of a rule; INPUT has'),
    ("iptables -X KUBE-SERVICES", '"KUBE-SERVICES" is '),
    ("iptables -N INPUT", '"INPUT" is a chain already'),
    ("iptables -Q", '"-Q" is not a command; one of -A -I'),
    ("iptables", "no command is given"),
    ("iptables -A INPUT -D INPUT", '"-D" cannot be used with -A'),
    ("iptables -t nut -L", '"nut" is not a table'),
    ("iptables -L NOPE", '"NOPE" is not a chain of the table filter'),
    ("iptables -A INPUT -s 'x", "the line cannot be split into words"),
    ("iptables -F INPUT 3", '"3" is too much; -F takes no more'),
])
def test_a_wrong_command_is_told_in_one_line(command, said):
    with pytest.raises(RulesError) as caught:
        run(parse(GOLDEN[0].read_text()), shlex.split(command) if "'" not in command else command)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_zero_and_counters():
    rules = parse("*filter\n:INPUT ACCEPT [5:6]\n[7:8] -A INPUT -j DROP\n[9:9] -A INPUT\nCOMMIT\n")
    assert run(
    rules,
     "iptables -vS INPUT")[1] == "-P INPUT ACCEPT -c 5 6\n-A INPUT -c 7 8 -j DROP\n-A INPUT -c 9 9\n"
    zeroed = run(rules, "iptables -Z INPUT 2")[0]
    assert str(zeroed) == "*filter\n:INPUT ACCEPT [5:6]\n[7:8] -A INPUT -j DROP\n[0:0] -A INPUT\nCOMMIT\n"
    assert "[0:0] -A INPUT -j DROP" in str(run(rules, "iptables -Z")[0])
