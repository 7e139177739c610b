"""Numbers and names as sentences want them."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 10
"""Names listed in a sentence before the rest is only counted."""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 picture`, `1,234 pictures`, `2 classes`; `many` is the plural where it is no mere `s` or `es`."""
    if number == 1:
        return f"1 {one}"
    return f"{number:,} {many or one + ('es' if one.endswith('s') else 's')}"


def are(number: int) -> str:
    """The verb that goes with a number."""
    return "is" if number == 1 else "are"


def listed(names: Sequence[str], most: int = SHOWN) -> str:
    """Names in a sentence: the first few, and how many more."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def quoted(names: Sequence[str], most: int = 5) -> str:
    """As `listed`, each name in quotes."""
    return listed([f"'{name}'" for name in names], most)
