"""What happens to a node's rules: each kind of damage as a change of iptables-save lines, and what drift must call it.

A damage takes the lines and a Random, and gives the lines afterwards, with the kind of difference and the place where
it must be told; None where these rules have nothing that it could strike.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Lines = list[str]
Struck = tuple[Lines, str, str] | None
OURS = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", "KUBE-FORWARD", "KUBE-SVC-",
        "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL")
ORDERED = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-SEP-", "KUBE-POSTROUTING", "KUBE-FORWARD")


def chain(line: str) -> str:
    return line.split()[1] if line.startswith("-A ") else ""


def tables(lines: Lines) -> Lines:
    """The table of each line."""
    found, table = [], ""
    for line in lines:
        table = line[1:] if line.startswith("*") else table
        found.append(table)
    return found


def place(lines: Lines, at: int) -> str:
    return f"{tables(lines)[at]} {chain(lines[at])}"


def pick(lines: Lines, chance: Random, holds: Callable[[str], bool]) -> int | None:
    found = [at for at, line in enumerate(lines) if holds(line)]
    return chance.choice(found) if found else None


def lose_a_rule(lines: Lines, chance: Random) -> Struck:
    at = pick(lines, chance, lambda line: chain(line).startswith(OURS))
    return [*lines[:at], *lines[at + 1:]], "missing", place(lines, at)


def lose_a_jump(lines: Lines, chance: Random) -> Struck:
    at = pick(lines, chance, lambda line: chain(line).isupper() and " -j KUBE-" in line and not
              chain(line).startswith("KUBE"))
    return [*lines[:at], *lines[at + 1:]], "missing", place(lines, at)


def lose_a_chain(lines: Lines, chance: Random) -> Struck:
    at = pick(lines, chance, lambda line: line.startswith((":KUBE-SVC-", ":KUBE-SEP-", ":KUBE-SVL-", ":KUBE-EXT-")))
    if at is None:
        return None
    name = lines[at].split()[0][1:]
    return [line for line in lines if name not in line.split() and f":{name}" not in line.split()], "missing", \
        f"nat {name}"


def lose_the_table(lines: Lines, chance: Random) -> Struck:
    kept = [line for line, table in zip(lines, tables(lines)) if table != "nat"]
    return kept, "missing", "nat KUBE-SERVICES"


def repeat_a_rule(lines: Lines, chance: Random) -> Struck:
    at = pick(lines, chance, lambda line: chain(line).startswith(OURS))
    return [*lines[:at], lines[at], *lines[at:]], "foreign", place(lines, at)


def add_a_foreign_rule(lines: Lines, chance: Random) -> Struck:
    at = pick(lines, chance, lambda line: chain(line).startswith(OURS))
    target = chance.choice(("ACCEPT", "RETURN"))
    return [*lines[:at], f"-A {chain(lines[at])} -s 198.51.100.7/32 -p tcp -j {target}", *lines[at:]], "foreign", \
        place(lines, at)


def accept_before_the_jumps(lines: Lines, chance: Random) -> Struck:
    at = pick(lines, chance, lambda line: line.startswith("-A ") and " -j KUBE-" in line
              and not chain(line).startswith("KUBE"))
    allowed = ("ACCEPT", "RETURN") if tables(lines)[at] == "nat" else ("ACCEPT", "DROP", "RETURN", "REJECT")
    rule = f"-A {chain(lines[at])} -s 198.51.100.0/24 -j {chance.choice(allowed)}"
    return [*lines[:at], rule, *lines[at:]], "foreign", place(lines, at)


def swap_two_rules(lines: Lines, chance: Random) -> Struck:
    found = [at for at in range(len(lines) - 1) if chain(lines[at]).startswith(ORDERED)
             and chain(lines[at]) == chain(lines[at + 1]) and lines[at] != lines[at + 1]]
    if not found:
        return None
    at = chance.choice(found)
    return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2:]], "out of order", place(lines, at)


def swap_two_jumps(lines: Lines, chance: Random) -> Struck:
    found = [at for at in range(len(lines) - 1) if chain(lines[at]) in ("INPUT", "FORWARD", "OUTPUT")
             and chain(lines[at]) == chain(lines[at + 1])]
    at = chance.choice(found)
    return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2:]], "out of order", place(lines, at)


def node_ports_first(lines: Lines, chance: Random) -> Struck:
    own = [at for at, line in enumerate(lines) if chain(line) == "KUBE-SERVICES" and tables(lines)[at] == "nat"]
    if len(own) < 2:
        return None
    return [*lines[:own[0]], lines[own[-1]], *lines[own[0]:own[-1]], *lines[own[-1] + 1:]], "out of order", \
        "nat KUBE-SERVICES"


def leave_an_endpoint_behind(lines: Lines, chance: Random) -> Struck:
    at = pick(lines, chance, lambda line: chain(line).startswith("KUBE-SVC-"))
    if at is None:
        return None
    name = "KUBE-SEP-AAAAAAAAAAAAAAAA"
    start = lines.index("*nat") + 1
    struck = [*lines[:start], f":{name} - [0:0]", *lines[start:at], f"-A {chain(lines[at])} -j {name}", *lines[at:]]
    end = len(struck) - 1 - struck[::-1].index("COMMIT")
    struck.insert(end, f"-A {name} -p tcp -m tcp -j DNAT --to-destination 10.244.9.9:80")
    return struck, "stale", f"nat {name}"


def leave_a_service_behind(lines: Lines, chance: Random) -> Struck:
    at = pick(lines, chance, lambda line: chain(line) == "KUBE-SERVICES" and "KUBE-SVC-" in line)
    if at is None:
        return None
    rule = lines[at].replace(lines[at].split("--comment \"")[1].split()[0], "gone/away:http")
    rule = " ".join("10.96.200.200/32" if before == "-d" else word
                    for before, word in zip(["", *rule.split(" ")], rule.split(" ")))
    return [*lines[:at], rule, *lines[at:]], "stale", "nat KUBE-SERVICES"


def lead_to_another_address(lines: Lines, chance: Random) -> Struck:
    at = pick(lines, chance, lambda line: "--to-destination " in line)
    if at is None:
        return None
    line = lines[at].split("--to-destination ")[0] + "--to-destination 10.244.77.7:7777"
    return [*lines[:at], line, *lines[at + 1:]], "missing", place(lines, at)


DAMAGES: tuple[Callable[[Lines, Random], Struck], ...] = (
    lose_a_rule, lose_a_jump, lose_a_chain, lose_the_table, repeat_a_rule, add_a_foreign_rule,
    accept_before_the_jumps, swap_two_rules, swap_two_jumps, node_ports_first, leave_an_endpoint_behind,
    leave_a_service_behind, lead_to_another_address)
