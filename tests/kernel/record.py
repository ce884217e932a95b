"""Write what the real kernel was seen doing in each journey of `journeys.py`, as data for tests that need no kernel.

    python -m tests.kernel.record

One file for each journey in tests/kernel/recorded, and rules.json with the rules of the nodes as iptables-save printed
them then. `load` reads a journey back.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8slab import iptables
from k8slab.entry import Entry
from k8slab.iptables import Ruleset
from k8slab.kernel.dataplane import Kernel
from k8slab.kernel.events import Change, Hit, Wire
from k8slab.kernel.stays import Seen
from k8slab.packet import Flow, Packet
from tests.kernel.journeys import JOURNEYS, network, rules

FOLDER = Path(__file__).parent / "recorded"
RULES = FOLDER / "rules.json"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One journey: the first packet, what was seen, and the entries of each node afterwards."""

    sent: Packet
    seen: Seen
    after: tuple[tuple[str, Entry], ...]


def main() -> None:
    """Make every journey in a lab of its own, on nf_tables."""
    FOLDER.mkdir(exist_ok=True)
    for name, journey in JOURNEYS.items():
        with Kernel(network(), rules(), backend="nft") as lab:
            trace = journey.on(lab)
            RULES.write_text(_json({node: _rules(lab.run(node, "iptables-save")) for node in rules()}))
            (FOLDER / f"{name}.json").write_text(dump(Recorded(trace.sent, lab.seen, trace.entries)))
        print(f"{name}: {trace.summary()}")


def dump(recorded: Recorded) -> str:
    """The journey as JSON; times count from the first capture, bytes are in hexadecimal digits."""
    seen, start = recorded.seen, min((wire.time for wire in recorded.seen.wires), default=0)
    return _json({"sent": _plain(recorded.sent), "wires": [_plain(w._replace(time=w.time - start)) for w in seen.wires],
                  "hits": [_plain(hit) for hit in seen.hits], "changes": [_plain(one) for one in seen.changes],
                  "before": [[node, _plain(one)] for node, entries in seen.before.items() for one in entries],
                  "after": [[node, _plain(one)] for node, one in recorded.after]})


def load(name: str) -> Recorded:
    """The journey of that name in `JOURNEYS`."""
    read = json.loads((FOLDER / f"{name}.json").read_text())
    before: dict[str, list[Entry]] = {}
    for node, entry in read["before"]:
        before.setdefault(node, []).append(_entry(entry))
    seen = Seen([Wire(*words, bytes.fromhex(data)) for *words, data in read["wires"]],
                [Hit(*words, *map(bytes.fromhex, (network, transport))) for *words, network, transport in read["hits"]],
                [Change(host, what, _entry(entry)) for host, what, entry in read["changes"]], before)
    sent = Packet(**read["sent"] | {"payload": bytes.fromhex(read["sent"].get("payload", ""))})
    return Recorded(sent, seen, tuple((node, _entry(entry)) for node, entry in read["after"]))


def load_rules() -> dict[str, Ruleset]:
    """The rules that the nodes had."""
    return {node: iptables.parse("".join(f"{line}\n" for line in lines), node)
            for node, lines in json.loads(RULES.read_text()).items()}


def _rules(printed: str) -> list[str]:
    return [re.sub(r"\[\d+:\d+\]", "[0:0]", line) for line in printed.splitlines() if not line.startswith("#")]


def _plain(value: Any) -> Any:
    """A value of JSON for a NamedTuple (a list), a dataclass (its fields that are not the default), or bytes."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(own) for field in dataclasses.fields(value)
                if field.init and (own := getattr(value, field.name)) != field.default}
    return value


def _entry(read: dict) -> Entry:
    return Entry(**read | {"original": Flow(**read["original"]), "reply": Flow(**read["reply"])})


def _json(value: dict) -> str:
    """JSON with one line for each item of a list, so that a difference between two recordings can be read."""
    parts = []
    for key, own in value.items():
        items = ",\n  ".join(json.dumps(one) for one in own) if isinstance(own, list) else ""
        parts.append(f" {json.dumps(key)}: " + (f"[\n  {items}\n ]" if items else json.dumps(own)))
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
