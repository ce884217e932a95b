"""Bytes of a file into text: UTF-8, and what Windows' PowerShell writes with `>`, which says so by its first bytes."""

from __future__ import annotations

import codecs

MARKED = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def unicode(data: bytes) -> str:
    """The text, without the mark that may stand before it.

    >>> unicode(b"\\xff\\xfe*\\0n\\0")
    '*n'

    Raises UnicodeDecodeError for bytes that are no such text.
    """
    for mark, encoding in MARKED:
        if data.startswith(mark):
            return data[len(mark):].decode(encoding)
    return data.decode()
