"""The command line: `k8slab trace`, `demo`, `render`, `drift`, `doctor`, `kubectl` and `serve`.

Exit status: 0 when the question was answered, whatever the verdict (3 from `drift` where the two differ, and from
`trace --fail`); 1 when the input is wrong, with one line that says where and what would be right; 2 for a wrong command
line. `--help` says so, too.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import io
import json
import os
import shlex
import sys
from collections.abc import Sequence
from fractions import Fraction

from k8slab import tracing
from k8slab.errors import CommandError, Told, Wrong
from k8slab.iptables import Ruleset
from k8slab.kubectl import add_kubectl
from k8slab.dataplanes import DATAPLANES
from k8slab.drift import DIFFERS, add_drift
from k8slab.oncall.files import read_rules
from k8slab.packet import ECHO_REQUEST, PORT_PROTOCOLS, Packet
from k8slab.render import add_render, ipv4_address
from k8slab.serving import add_serve
from k8slab.trace import Trace, packet_dict

QUICK = ("trace", "demo", "render", "drift")      # commands that end before there is garbage worth looking for
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)       # what a write to no name ends in
SOURCE_PORT = 40000        # what `--from` means where it names no port
ARTICLE = Packet("tcp", "10.244.1.5", "10.96.0.1", SOURCE_PORT, 443)


FAILED = DIFFERS           # of `trace --fail`
STATUS = "Exit status: 0 the question was answered{more}; 1 the input is wrong; 2 the command line is wrong."
ANSWERED = {"trace": ", whether the packet arrives or not; with --fail, 3 where it does not",
            "drift": " and there is no difference; 3 there is one", "doctor": ", whatever it is"}


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    if words is None and sys.argv[1:2] and sys.argv[1] in QUICK:
        gc.disable()           # a process of its own
    parser = build_parser()
    options = parser.parse_args(words)
    try:
        status = options.run(options)
        sys.stdout.flush()
    except (Told, OSError) as error:
        if isinstance(error, BrokenPipeError):     # `| head` has read enough
            _no_more_output()
            return 0
        print(f"k8slab: {_sentence(error)}", file=sys.stderr)
        if isinstance(error, OSError) and not error.filename and error.errno in FULL:
            _no_more_output()
        return 1
    except Wrong as error:
        parser.exit(2, f"k8slab: {error}\n")
    return status or 0


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        name = error.filename or ("standard output" if error.errno in FULL else "")
        return f"{name}: {error.strerror}" if name else error.strerror
    return str(error)


def _no_more_output() -> None:
    """What Python would still write, when it ends, goes nowhere, and so does its complaint about that."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """The words that `k8slab` understands."""
    parser = argparse.ArgumentParser(prog="k8slab", description="Follow one packet through kube-proxy's rules.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_trace(commands.add_parser("trace", help="where a node's rules send a packet, and why",
                                   description="Say where a packet goes through the rules of one node, and why."))
    add_render(commands.add_parser("render", help="what kube-proxy writes for a cluster's objects",
                                   description="Write what kube-proxy writes on one node for a cluster's Services."))
    add_drift(commands.add_parser("drift", help="what kube-proxy should have written beside what is there",
                                  description="Compare a node's rules with what kube-proxy writes for the objects."))
    doctor = commands.add_parser("doctor", help="what this machine allows, and which dataplane will be used")
    doctor.add_argument("--json", action="store_true", help="the answer as JSON")
    doctor.set_defaults(run=run_doctor)
    # Whatever follows is kubectl's own command line: no character begins a flag of ours.
    add_kubectl(commands.add_parser("kubectl", prefix_chars="\0", add_help=False,
                                    help="what kubectl prints against the lab's control plane"))
    add_serve(commands.add_parser("serve", help="the lab's control plane over HTTPS on loopback, for a real kubectl",
                                  description="Serve the lab's control plane on 127.0.0.1 until interrupted."))
    demo = commands.add_parser("demo", help="the article's packet, there and back, step by step")
    demo.add_argument("--dataplane", choices=DATAPLANES, default="auto", help="what carries the packet")
    demo.set_defaults(run=run_demo)
    for name, command in commands.choices.items():
        command.epilog = STATUS.format(more=ANSWERED.get(name, ""))
    return parser


def _add_trace(trace: argparse.ArgumentParser) -> None:
    trace.add_argument("rules", metavar="RULES", nargs="?",
                       help="iptables-save text, packed with gzip or not; - reads standard input")
    trace.add_argument("--from", dest="source", metavar="ADDR[:PORT]", type=_endpoint,
                       help=f"who sends the packet (port {SOURCE_PORT} unless given)")
    trace.add_argument("--to", dest="target", metavar="ADDR:PORT", type=_endpoint,
                       help="whom it is for; for icmp an address alone")
    trace.add_argument("--proto", choices=("tcp", "udp", "sctp", "icmp"), default="tcp")
    trace.add_argument("--local", metavar="ADDR", action="append", default=[], type=ipv4_address,
                       help="an address of the node itself; may be given again")
    start = trace.add_mutually_exclusive_group()
    start.add_argument("--in", dest="iif", metavar="IFACE", help="the interface that the packet comes in on")
    start.add_argument("--from-node", action="store_true", help="a program on the node sends it")
    trace.add_argument("--out", dest="oif", metavar="IFACE", help="the interface that it would leave by")
    chance = trace.add_mutually_exclusive_group()
    chance.add_argument("--seed", metavar="N", type=int, default=0, help="what random choices are drawn from")
    chance.add_argument("--all", action="store_true", help="every way in which chance can fall, with its probability")
    trace.add_argument("--json", action="store_true", help="the answer as JSON")
    trace.add_argument("--fail", action="store_true", help="exit status 3 where the packet is dropped, refused or "
                       "lost, or where that cannot be told; with --diff, where something has changed for it")
    trace.add_argument("--check", action="store_true", help="check every rule of a big dump, also what is not met")
    tracing.add_flags(trace)
    trace.set_defaults(run=run_trace, missing=trace.error)


def _endpoint(word: str) -> tuple[str, int | None]:
    address, colon, port = word.partition(":") if word.count(":") < 2 else (word, "", "")
    if colon and not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise argparse.ArgumentTypeError(f"{port!r} is not a port; a target looks like 10.96.0.1:443")
    return ipv4_address(address), int(port) if colon else None


def run_demo(options: argparse.Namespace) -> None:
    """Print the article's packet and its answer, step by step."""
    from k8slab.lab import Lab  # the other commands can do without

    with Lab(options.dataplane) as lab:
        print(lab.send(ARTICLE))


def run_doctor(options: argparse.Namespace) -> None:
    """Print whether the real kernel can be used here, and if not, why and what would change it."""
    from k8slab.kernel.doctor import examine
    from k8slab.realplane import HOW, missing
    found, lacking = examine(), missing()
    if options.json:
        _print_json(found.to_dict() | {"control_plane": {"able": found.able and not lacking, "missing": lacking}})
        return
    print(found)
    if lacking:
        print(f"No real control plane, Lab(control_plane='real'): not on the PATH: {', '.join(lacking)}.\n"
              f"This would change it: {HOW}")
    else:
        print("Lab(control_plane='real') could start etcd and kube-apiserver"
              + ("." if found.able else ", but needs the real kernel."))


def run_trace(options: argparse.Namespace) -> int:
    """Print where the rules send the packet; with --fail, the exit status says whether it arrives."""
    tracing.check(options)
    if options.service:
        return tracing.run_service(options)
    packet = _packet(options)
    if options.diff:
        return tracing.run_diff(options, packet)
    text, answer = _traced(options, packet, read_rules(options.rules, options.check))
    print(text)
    return FAILED if options.fail and not answer.arrives else 0


def trace(rules: Ruleset, words: str) -> str:
    """What `k8slab trace` prints for rules that are at hand; `words`: its options, as in a shell.

    >>> from k8slab import iptables
    >>> from k8slab.lab import kube_proxy_rules
    >>> rules = iptables.parse(kube_proxy_rules())
    >>> print(trace(rules, "--from 10.244.1.5 --to 10.96.0.1:443 --all").splitlines()[0])
    tcp 10.244.1.5:40000 > 10.96.0.1:443 [S] ttl 64: 1 way in which chance can fall

    Raises CommandError for a wrong command line, with what the command says of it.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            options = build_parser().parse_args(["trace", "-", *shlex.split(words)])
            if options.diff or options.service:
                raise Wrong("--diff and --service read files: on the command line")
            tracing.check(options)
        return _traced(options, _packet(options), rules)[0]
    except (Wrong, ValueError) as error:
        raise CommandError(str(error)) from None
    except SystemExit as end:
        if not end.code:                           # --help
            return said.getvalue()
        raise CommandError(said.getvalue().splitlines()[-1]) from None


def _traced(options: argparse.Namespace, packet: Packet, rules: Ruleset) -> tuple[str, tracing.Answer]:
    """What is printed, and what it was made of."""
    question, assumed = tracing.make_question(options, packet, rules)
    answer = tracing.answer(options, question, assumed)
    said = answer.to_dict() | {"assumed": assumed}
    if options.json:
        found = {"outcomes": [_outcome(p, t) for p, t in answer.ways]} if options.all else answer.ways[0][1].to_dict()
        return json.dumps(found | said, indent=2), answer
    whole = _outcome_table(answer.ways) if options.all else str(answer.ways[0][1])
    return "\n".join([whole, *answer.lines(), "", *tracing.assumed_lines(assumed)]).rstrip(), answer


def _packet(options: argparse.Namespace) -> Packet:
    (src, sport), (dst, dport) = options.source, options.target
    if options.proto not in PORT_PROTOCOLS:
        if dport is not None:
            raise Wrong(f"--to {dst}:{dport}: {options.proto} has no ports; say --to {dst}")
        return Packet("icmp", src, dst, icmp_type=ECHO_REQUEST, icmp_id=1)
    if dport is None:
        raise Wrong(f"--to {dst}: {options.proto} needs a port, as in --to {dst}:443")
    return Packet(options.proto, src, dst, SOURCE_PORT if sport is None else sport, dport)


def _outcome(probability: Fraction, trace: Trace) -> dict:
    return {"probability": float(probability), "verdict": trace.verdict, "reason": trace.reason or None,
            "received": packet_dict(trace.received), "masqueraded": trace.masqueraded}


def _outcome_table(outcomes: Sequence[tuple[Fraction, Trace]]) -> str:
    """One line for each way chance can fall, with the chains that it leads through."""
    sent = outcomes[0][1].sent
    lines = [f"{sent}: {len(outcomes)} way{'s' * (len(outcomes) > 1)} in which chance can fall", "",
             "probability  verdict    arrives at             masqueraded  through"]
    for probability, trace in outcomes:
        at = trace.received.destination if trace.received else "nowhere"
        said = "yes" if trace.masqueraded else "no"
        lines.append(f"{float(probability):11.9f}  {trace.verdict:<9}  {at:<21}  {said:<11}  "
                     + " ".join(c for c in trace.chains if c.startswith(("KUBE-SVC", "KUBE-SVL", "KUBE-SEP"))))
        lines += [f"             {trace.reason}"] if trace.reason else []
    return "\n".join(lines)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


