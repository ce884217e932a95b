"""`ping`, `curl` and `nc` on a host of the model: packets of its own journeys decide what they print.

The words are those of iputils 20221126, curl 7.88 and netcat-openbsd 1.219. No time passes: durations are printed
in the programs' form, with values that stand for none. Waiting for an answer is told from waiting for a neighbour,
which Linux gives up after three seconds: a program that waits less than that never hears of it.
"""

from __future__ import annotations

import ipaddress
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k8slab.errors import CommandError
from k8slab.model.dataplane import COMMANDS
from k8slab.model.programs import CLIENT_ISN, Client
from k8slab.stack.routing import DEAD_ENDS
from k8slab.packet import ECHO_REQUEST, TIME_EXCEEDED, UNREACHABLE, Packet

if TYPE_CHECKING:
    from k8slab.model.commands import Call
    from k8slab.model.dataplane import Model

SUPPORTED = ("ping -c N [-W S] [-i S] [-t TTL] [-n] [-q] ADDR, "
             "curl [-s] [-S] [-m S] [--connect-timeout S] [-o /dev/null] http://ADDR[:PORT][/PATH], "
             "nc -z [-v] [-n] [-u] [-w S] ADDR PORT")
NO_NAMES = "Temporary failure in name resolution"
RTT = "0.045"                                  # stands for the round-trip time, in milliseconds
PATIENCE = 134.0                               # seconds until TCP gives up: tcp_syn_retries is 6
PING_PATIENCE = 10.0                           # ping's MAXWAIT
AT_ONCE, QUEUED = 4, 3.06                      # pings that share a question for a neighbour, seconds until its end
PATTERN = bytes(16) + bytes(range(16, 56))     # a time stamp, then ping's own pattern
# ICMP type and code → what ping says (pr_icmph in ping.c).
SAYS = {(UNREACHABLE, 0): "Destination Net Unreachable", (UNREACHABLE, 1): "Destination Host Unreachable",
        (UNREACHABLE, 2): "Destination Protocol Unreachable", (UNREACHABLE, 3): "Destination Port Unreachable",
        (UNREACHABLE, 9): "Destination Net Prohibited", (UNREACHABLE, 10): "Destination Host Prohibited",
        (UNREACHABLE, 13): "Packet filtered", (TIME_EXCEEDED, 0): "Time to live exceeded"}
# ICMP code of type 3 → the error that a connecting program gets (icmp_err_convert in icmp.c).
ERRORS = {0: "Network is unreachable", 1: "No route to host", 2: "Protocol not available", 3: "Connection refused",
          9: "Network is unreachable", 10: "No route to host", 13: "No route to host"}


@dataclass(frozen=True, slots=True)
class Asked:
    """How a question ended. `outcome`: "answered", "refused" or "timed out"; `error`: the words for a refusal."""

    outcome: str
    error: str = ""
    answer: bytes = b""


def _options(program: str, words: list[str], valued: dict[str, str], flags: str) -> tuple[dict[str, str], list[str]]:
    """Options → values, and the other words. `valued`: spelling to name; `flags`: letters that may stand together."""
    found: dict[str, str] = {}
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word in valued and left:
            found[valued[word]] = left.pop(0)
        elif word.startswith("-") and len(word) > 1 and set(word[1:]) <= set(flags):
            found |= dict.fromkeys(word[1:], "")
        elif word[:2] in valued and len(word) > 2:
            found[valued[word[:2]]] = word[2:]
        elif word.startswith("-"):
            raise CommandError(f"{program} {word}: the model knows {SUPPORTED}")
        else:
            rest.append(word)
    return found, rest


def _seconds(program: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CommandError(f"{program}: {text} is not a number of seconds") from None


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.IPv4Address(text))
    except ValueError:
        return False


def _dead_end(model: Model, host: str, address: str) -> str:
    """The error that a program gets at once because no route leads there; "" where one does."""
    decision = model.stack(host).routes.look_up(address)
    return DEAD_ENDS[decision.kind][1].partition(", ")[2] if decision.kind in DEAD_ENDS else ""


# ping

def ping(call: Call) -> str:
    """`ping -c N …`."""
    said, rest = _options("ping", call.words, {"-c": "c", "-W": "W", "-i": "i", "-t": "t"}, "nq")
    if len(rest) != 1:
        return "ping: usage error: Destination address required\n"
    count = said.get("c", "")
    if not count:
        raise CommandError(f"ping {rest[0]} would never end: the model knows {SUPPORTED}")
    if not count.isdecimal():
        return f"ping: invalid argument: '{count}'\n"
    if not 1 <= int(count) < 2**63:
        return f"ping: invalid argument: '{count}': out of range: 1 <= value <= 9223372036854775807\n"
    if not _is_address(rest[0]):
        return f"ping: {rest[0]}: {NO_NAMES}\n"
    kind = call.stack.routes.look_up(rest[0]).kind
    if kind in ("prohibit", "broadcast"):
        return "ping: Do you want to ping broadcast? Then -b. If not, check your local firewall rules\n"
    if error := _dead_end(call.model, call.node, rest[0]):
        return f"ping: connect: {error}\n"
    return _pings(call, rest[0], int(count), said)


def _pings(call: Call, address: str, count: int, said: dict[str, str]) -> str:
    model, gap = call.model, _seconds("ping", said.get("i", "1"))
    until = (count - 1) * gap + _seconds("ping", said.get("W", str(PING_PATIENCE)))
    packet = Packet("icmp", model.source(call.node, address), address, icmp_type=ECHO_REQUEST,
                    icmp_id=model.port(call.node, COMMANDS), payload=PATTERN, ttl=int(said.get("t", "64")))
    lines = [f"PING {address} ({address}) 56(84) bytes of data."]
    heard = errors = pipe = 0
    for number in range(1, count + 1):
        trace, _, waited = model.ask(call.node, packet, None)
        answer = trace.reply
        # Packets wait together for a neighbour: the first starts the question, its end is the end of all.
        end = (number - 1) // AT_ONCE * AT_ONCE * gap + QUEUED if waited else 0.0
        if answer is None or end > until:
            continue
        if answer.is_icmp_error:
            errors, pipe = errors + 1, max(pipe, (number - 1) % AT_ONCE + 1 if waited else 1)
            what = SAYS.get((answer.icmp_type, answer.icmp_code), f"Bad ICMP type: {answer.icmp_type}")
            lines.append(f"From {answer.src} icmp_seq={number} {what}")
        else:
            heard += 1
            other = "" if answer.src == address else " (DIFFERENT ADDRESS!)"
            lines.append(f"{8 + answer.length} bytes from {answer.src}: icmp_seq={number} ttl={answer.ttl} "
                         f"time={RTT} ms{other}")
    shown = lines[:1] if "q" in said else lines
    return "\n".join(shown) + "\n\n" + _statistics(address, count, heard, errors, pipe, gap)


def _statistics(address: str, count: int, heard: int, errors: int, pipe: int, gap: float) -> str:
    several = f"pipe {pipe}" if pipe > 1 else ""
    times = f"rtt min/avg/max/mdev = {RTT}/{RTT}/{RTT}/0.000 ms" if heard else ""
    more = f"+{errors} errors, " if errors else ""
    return (f"--- {address} ping statistics ---\n{count} packets transmitted, {heard} received, {more}"
            f"{100 * (count - heard) / count:g}% packet loss, time {(count - 1) * gap * 1000:.0f}ms\n"
            f"{', '.join(filter(None, (times, several)))}\n")


# curl and nc

def _ask(model: Model, host: str, address: str, port: int, proto: str, question: bytes, patience: float) -> Asked:
    """Connect and ask; what a program that waits `patience` seconds for the connection hears."""
    if error := _dead_end(model, host, address):
        return Asked("refused", error)
    packet = Packet(proto, model.source(host, address), address, model.port(host, COMMANDS), port, seq=CLIENT_ISN,
                    payload=b"" if proto == "tcp" else question)
    _, client, waited = model.ask(host, packet, question)
    if client.outcome == "refused":
        return Asked("timed out") if waited and patience <= QUEUED else Asked("refused", _error(client))
    return Asked("answered", answer=client.answer) if client.outcome else Asked("timed out")


def _error(client: Client) -> str:
    if client.error is None:
        return "Connection refused"                            # a RST
    return ERRORS[3] if client.error.icmp_type == UNREACHABLE and client.error.icmp_code == 3 else (
        ERRORS.get(client.error.icmp_code, ERRORS[1]) if client.error.icmp_type == UNREACHABLE else ERRORS[1])


def curl(call: Call) -> str:
    """`curl … http://ADDR[:PORT][/PATH]`; its progress meter is left out."""
    valued = {"-m": "m", "--max-time": "m", "--connect-timeout": "connect", "-o": "o", "--output": "o"}
    words = [{"--silent": "-s", "--show-error": "-S"}.get(word, word) for word in call.words]
    said, rest = _options("curl", words, valued, "sS")
    quiet = "s" in said and "S" not in said
    if len(rest) != 1:
        return "curl: try 'curl --help' or 'curl --manual' for more information\n"
    if said.get("o", "/dev/null") != "/dev/null":
        raise CommandError(f"curl -o {said['o']}: the model has no files but /dev/null")
    url = urllib.parse.urlsplit(rest[0] if "://" in rest[0] else f"http://{rest[0]}")
    if url.scheme != "http":
        raise CommandError(f"curl {rest[0]}: the lab's servers speak plain HTTP; the model knows {SUPPORTED}")
    try:
        host, port = url.hostname or "", url.port or 80
    except ValueError:
        host, port = "", 0
    if not host:
        return "" if quiet else "curl: (3) URL using bad/illegal format or missing URL\n"
    if not _is_address(host):
        return "" if quiet else f"curl: (6) Could not resolve host: {host}\n"
    return _fetch(call, host, port, url.path or "/", said, quiet)


def _fetch(call: Call, host: str, port: int, path: str, said: dict[str, str], quiet: bool) -> str:
    whole, first = (_seconds("curl", said[name]) if name in said else PATIENCE for name in ("m", "connect"))
    head = f"GET {path} HTTP/1.1\r\nHost: {host}{'' if port == 80 else f':{port}'}\r\n"
    question = f"{head}User-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n".encode()
    asked = _ask(call.model, call.node, host, port, "tcp", question, min(whole, first))
    if asked.answer:
        body = asked.answer.partition(b"\r\n\r\n")[2].decode()
        return "" if "o" in said else body
    if asked.outcome == "refused":
        why = f"(7) Failed to connect to {host} port {port} after 0 ms: Couldn't connect to server"
    elif asked.outcome == "answered":
        why = f"(28) Operation timed out after {whole * 1000:.0f} milliseconds with 0 bytes received"
    elif whole <= first and "m" in said:
        why = f"(28) Connection timed out after {whole * 1000:.0f} milliseconds"
    else:
        how = "Timeout was reached" if "connect" in said else "Couldn't connect to server"
        why = f"(28) Failed to connect to {host} port {port} after {first * 1000:.0f} ms: {how}"
    return "" if quiet else f"curl: {why}\n"


def nc(call: Call) -> str:
    """`nc -z …`: only whether somebody is there; without -v not even that is printed."""
    said, rest = _options("nc", call.words, {"-w": "w"}, "zvnu")
    if len(rest) != 2:
        return "nc: missing port number\n" if len(rest) == 1 else f"usage: {SUPPORTED[SUPPORTED.index('nc '):]}\n"
    if "z" not in said:
        raise CommandError(f"nc {' '.join(call.words)}: the model knows {SUPPORTED}")
    (address, text), proto = rest, "udp" if "u" in said else "tcp"
    if not text.isdecimal() or not 0 < int(text) < 65536:
        return f"nc: port number {'invalid' if not text.isdecimal() else 'too large'}: {text}\n"
    if not _is_address(address):
        return f'nc: getaddrinfo for host "{address}" port {text}: {NO_NAMES}\n'
    patience = _seconds("nc", said["w"]) if "w" in said else PATIENCE
    asked = _ask(call.model, call.node, address, int(text), proto, b"X" if proto == "udp" else b"", patience)
    if "v" not in said:
        return ""
    start = f"nc: connect to {address} port {text} ({proto})"
    if proto == "udp":
        dead = _dead_end(call.model, call.node, address)
        late = asked.error not in ("", ERRORS[3])              # it has asked four times and is content
        return f"{start} failed: {dead}\n" if dead else "" if asked.outcome == "refused" and not late else (
            f"Connection to {address} {text} port [udp/*] succeeded!\n")
    if asked.outcome == "answered":
        return f"Connection to {address} {text} port [tcp/*] succeeded!\n"
    if asked.outcome == "refused":
        return f"{start} failed: {asked.error}\n"
    return f"{start} {'timed out: Operation now in progress' if 'w' in said else 'failed: Connection timed out'}\n"
