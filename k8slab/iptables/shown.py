"""What `iptables -L` prints of matches and targets: its own spelling of each, unlike that of iptables-save.

`numeric` is the -n of the command: ports and types as numbers. Sources: the `print` functions of iptables
1.8.9's extensions/libxt_*.c, and its output, with which the tests compare.
"""

from __future__ import annotations

from k8slab.iptables.kinds import FLAG, MARK, MASK, RATE
from k8slab.iptables.names import ICMP_TYPES, LOG_LEVEL_SHOWN, SERVICE_NAMES
from k8slab.iptables.options import Extension
from k8slab.iptables.values import WHOLE, flag_names


def dashless(match: Extension, numeric: bool) -> str:
    """`ctstate NEW ! ctdir REPLY`: the options as they are saved, without their dashes."""
    return " ".join(option.replace("--", "", 1) for option in match.save_options())


def statistic_shown(match: Extension, numeric: bool) -> str:
    """`statistic mode nth every 3 packet 1`; the first packet is not said."""
    return "statistic " + dashless(match, numeric).removesuffix(" packet 0")


def ports_shown(match: Extension, numeric: bool) -> str:
    """`tcp spt:90 dpts:!80:90 flags:0x17/0x02`."""
    words = [match.name]
    for given in match.spec.save(match) if match.spec.save else match.given:
        sign, name = "!" if given.negated else "", given.option.name
        if name in ("--sport", "--dport"):
            low, high = given.value
            names = {} if numeric or match.name == "sctp" else SERVICE_NAMES
            ports = [str(names.get(port, port)) for port in (low, high)[:1 if low == high else 2]]
            words.append(f"{name[2]}pt{'s' if low != high else ''}:{sign}{':'.join(ports)}")
        elif name == "--tcp-flags":
            mask, wanted = given.value
            words.append(f"flags:{sign}0x{mask:02X}/0x{wanted:02X}" if numeric else
                         f"flags:{sign}{flag_names(mask)}/{flag_names(wanted)}")
        else:
            words.append(f"option={sign}{given.value}" if name == "--tcp-option" else given.save()[2:])
    return " ".join(words)


def multiport_shown(match: Extension, numeric: bool) -> str:
    """`multiport dports 80,443,8000:8010`."""
    given = match.given[0]
    names = {} if numeric else SERVICE_NAMES
    ports = [":".join(str(names.get(port, port)) for port in sorted({low, high})) for low,
             high in given.value]
    return f"multiport {given.option.name[2:]} {' !' if given.negated else ''}{','.join(ports)}"


def icmp_shown(match: Extension, numeric: bool) -> str:
    """`icmptype 3 code 4`, or `icmp fragmentation-needed`."""
    (kind, low, high), sign = match.value("--icmp-type"), "!" if match.negated("--icmp-type") else ""
    if numeric:
        head = f"icmp {sign}type {kind}" if sign else f"icmptype {kind}"
        return head if (low, high) == (0, 255) else f"{head} code {low}"
    names = [name for name, value in ICMP_TYPES.items() if value == (kind, low, high)]
    return f"icmp {sign}{names[0]}" if names else icmp_shown(match, True)


def addrtype_shown(match: Extension, numeric: bool) -> str:
    """`ADDRTYPE match dst-type LOCAL`."""
    words = ["ADDRTYPE match"]
    for given in match.given:
        name = given.option.name[2:].replace("iface-", "")
        value = "" if given.option.kind is FLAG else f" {'!' if given.negated else ''}{','.join(given.value)}"
        words.append(name + value)
    return " ".join(words)


RECENT_SHOWN = {
    "--set": "SET", "--rcheck": "CHECK", "--update": "UPDATE", "--remove": "REMOVE",
    "--seconds": "seconds: {}", "--reap": "reap", "--hitcount": "hit_count: {}", "--rttl": "TTL-Match",
    "--name": "name: {}", "--rsource": "side: source", "--rdest": "side: dest",
}


def iprange_shown(match: Extension, numeric: bool) -> str:
    """`source IP range 10.0.0.1-10.0.0.9 destination IP range ! 10.1.0.1-10.1.0.9`."""
    sides = {"--src-range": "source", "--dst-range": "destination"}
    return " ".join(f"{sides[one.option.name]} IP range {'! ' * one.negated}{one.option.kind.save(one.value)}"
                    for one in match.given)


def recent_shown(match: Extension, numeric: bool) -> str:
    """`recent: CHECK seconds: 10800 reap name: A side: source mask: 255.255.255.255`."""
    words = [RECENT_SHOWN[given.option.name].format(given.value) for given in match.given
             if given.option.name in RECENT_SHOWN]
    sign = "! " if any(given.negated for given in match.given) else ""
    return f"{sign}recent: {' '.join(words)} mask: {MASK.save(match.value('--mask'))}"


def mark_shown(match: Extension, numeric: bool) -> str:
    """`mark match ! 0x4000/0x4000`; connmark keeps the place of the ! free."""
    sign = "! " if match.negated("--mark") else " " if match.name == "connmark" else ""
    return f"{match.name} match {sign}{MARK.save(match.value('--mark'))}"


def limit_shown(match: Extension, numeric: bool) -> str:
    """`limit: avg 5/min burst 5`."""
    return f"limit: avg {RATE.save(match.value('--limit'))} burst {match.value('--limit-burst', 5)}"


# Targets.

def nat_shown(target: Extension, numeric: bool) -> str:
    """`to:10.106.175.128:6443 random`, `masq ports: 1024-2048`, `redir ports 8080`."""
    heads = {"--to-destination": "to:", "--to-source": "to:",
             "--to-ports": "masq ports: " if target.name == "MASQUERADE" else "redir ports "}
    return " ".join(heads[given.option.name] + given.option.kind.save(given.value)
                    if given.option.name in heads else given.option.name[2:] for given in target.given)


def set_mark_shown(target: Extension, numeric: bool) -> str:
    """`MARK or 0x4000`: the arithmetic under its plainest name."""
    value, mask = target.value("--set-xmark")
    forms = ((value == 0, f"and {~mask & WHOLE:#x}"), (value == mask, f"or {value:#x}"),
             (mask == 0, f"xor {value:#x}"), (mask == WHOLE, f"set {value:#x}"),
             (True, f"xset {value:#x}/{mask:#x}"))
    return f"{target.name} {next(said for holds, said in forms if holds)}"


def connmark_shown(target: Extension, numeric: bool) -> str:
    """`CONNMARK save mask 0xff`, or as MARK."""
    if "--set-xmark" in target:
        return set_mark_shown(target, numeric)
    nf, ct = target.value("--nfmask"), target.value("--ctmask")
    masks = (f" mask {nf:#x}" if nf == ct != WHOLE else "" if nf == ct else f" nfmask {nf:#x} ctmask ~{ct:#x}"
             if "--save-mark" in target else f" ctmask {ct:#x} nfmask ~{nf:#x}")
    return f"CONNMARK {'save' if '--save-mark' in target else 'restore'}{masks}"


# The flag of each LOG option, and what is said of it without -n.
LOG_FLAGS = {"--log-tcp-sequence": 1, "--log-tcp-options": 2, "--log-ip-options": 4, "--log-uid": 8,
             "--log-macdecode": 32}


def log_shown(target: Extension, numeric: bool) -> str:
    """`LOG flags 0 level 4 prefix "abc"`."""
    level, flags = target.value("--log-level", 4), [name for name in LOG_FLAGS if name in target]
    words = (["LOG", f"flags {sum(LOG_FLAGS[name] for name in flags)} level {level}"] if numeric else
             ["LOG", f"level {LOG_LEVEL_SHOWN[level]}", *(name[6:] for name in flags)])
    if "--log-prefix" in target:
        words.append(f'prefix "{target.value("--log-prefix")}"')
    return " ".join(words)


def ct_shown(target: Extension, numeric: bool) -> str:
    """`CT notrack zone 5`."""
    return f"CT {dashless(target, numeric)}".rstrip()


def checksum_shown(target: Extension, numeric: bool) -> str:
    """`CHECKSUM fill`."""
    return "CHECKSUM fill"


def mss_shown(target: Extension, numeric: bool) -> str:
    """`TCPMSS clamp to PMTU`, `TCPMSS set 1400`."""
    return f"TCPMSS set {target.value('--set-mss')}" if "--set-mss" in target else "TCPMSS clamp to PMTU"
