"""Progress: what the learner has answered, in a small file beside the notebooks, and a short code for the ticks.

The file, `k8slab-progress.json`, can be downloaded from JupyterLab's file list and put back there: what it holds is
read again at each use. It is written whole into a new file that then takes the old one's place, so that a kernel
that is stopped meanwhile leaves the one or the other. Nothing that a cell prints depends on it.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

from k8slab.errors import Told

FILE = "k8slab-progress.json"
VERSION = 1


class ProgressError(Told, ValueError):
    """A progress file or code that cannot be read; the message says what was found and what would be right."""


class Progress:
    """The learner's answers: unit → key → what was recorded.

    `path`: the file; by default FILE in the working directory, which in Jupyter is the notebook's folder.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = Path(path or os.environ.get("K8SLAB_PROGRESS") or FILE)

    def read(self) -> dict[str, dict[str, dict]]:
        """All that is recorded; raises ProgressError for a file that is none of ours."""
        if not self.path.exists():
            return {}
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            units = found["units"]
            if found["version"] != VERSION or not all(isinstance(keys, dict) for keys in units.values()):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ProgressError(
                f"{self.path} is not a progress file of this course: move it away, or put back "
                f"one that you have downloaded"
            ) from None
        return units

    def get(self, unit: str, key: str) -> dict:
        """What is recorded of one question or exercise."""
        return self.read().get(unit, {}).get(key, {})

    def record(self, unit: str, key: str, **fields: object) -> None:
        """Keep fields of one question or exercise, beside those that are there."""
        units = self.read()
        units.setdefault(unit, {}).setdefault(key, {}).update(fields)
        self._write(units)

    def forget(self, unit: str) -> bool:
        """Forget all that is recorded of one unit, and keep the file as it was beside it, with the ending `.bak`.

        Whether there was anything to forget.
        """
        units = self.read()
        there = units.pop(unit, None) is not None
        if there:
            self.path.with_name(self.path.name + ".bak").write_bytes(self.path.read_bytes())
            self._write(units)
        return there

    def _write(self, units: dict) -> None:
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(json.dumps({"version": VERSION, "units": units}, indent=1, default=str), encoding="utf-8")
        new.replace(self.path)


def ticks_code(ticks: Sequence[bool]) -> str:
    """Ticks as a code to write down: base32 of the bits and a check byte, in groups of four.

    >>> ticks_code([True, False, True]), ticks_of("UCWA", 3)
    ('UCWA', [True, False, True])
    """
    bits = "".join("1" if tick else "0" for tick in ticks)
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0") or "0", 2).to_bytes(-(-len(bits) // 8), "big")
    text = base64.b32encode(data + _check(data, len(ticks))).decode().rstrip("=")
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def ticks_of(code: str, count: int) -> list[bool]:
    """The ticks that a code holds; raises ProgressError for a code that was copied wrongly or is another course's."""
    text = code.upper().replace("-", "").replace(" ", "")
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:
        data = b""
    size = -(-count // 8)
    if len(data) != size + 1 or data[size:] != _check(data[:size], count):
        raise ProgressError(f"{code!r} is no code of this course: copy all letters and digits, from A to Z and 2 to 7")
    bits = "".join(f"{byte:08b}" for byte in data[:size])
    return [bit == "1" for bit in bits[:count]]


def _check(data: bytes, count: int) -> bytes:
    """One byte that a letter copied wrongly changes; the number of ticks is in it, since courses grow."""
    return bytes([zlib.crc32(data + bytes([count % 256])) & 0xFF])
