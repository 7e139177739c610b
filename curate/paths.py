"""Paths as text that is safe whatever bytes the file system holds, as tables, JSON and CSV files have them."""

from __future__ import annotations

import os
import re

_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def path_to_text(path: str | bytes) -> str:
    r"""A path as valid Unicode: bytes that are not UTF-8 become `\xNN`; most paths stay as they are.

    `path_from_text` takes it back exactly.
    """
    raw = os.fsencode(path).replace(b"\\x", b"\\x5cx")
    return raw.decode("utf-8", "backslashreplace")


def path_from_text(text: str) -> str:
    """The path as `os` functions take it, from what `path_to_text` gave."""
    raw = _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]), text.encode("utf-8"))
    return os.fsdecode(raw)
