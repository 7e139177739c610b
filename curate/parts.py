"""What folders of training, validation and test pictures are called."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAMES = re.compile(
    r"(?:(?P<train>train(?:ing)?)|(?P<val>val(?:id(?:ation)?)?|dev)|(?P<test>test(?:ing)?|eval))"
    r"(?:[-_ ]?(?:set|data|images))?",
    re.IGNORECASE,
)
NAMES = ("train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval")
"""What parts are called most, to be proposed where a name is misspelt."""

_NUMBER = re.compile(r"[-_ ]?\d+$")


def part_of(name: str) -> str:
    """`train`, `val` or `test` where a folder, or a set's word, of this name is that part, else empty.

    `Training`, `val`, `dev` and `test_set` are parts; `seg_train` is not, nor is `test2`, which is one of several.
    """
    found = _NAMES.fullmatch(name)
    return (found.lastgroup or "") if found else ""


def only_parts(names: Sequence[str]) -> bool:
    """Whether folders of these names are parts of a set, numbered ones too, rather than classes."""
    return all(part_of(_NUMBER.sub("", name)) for name in names)


def first_part(names: Sequence[str]) -> str:
    """The training part among folders that are all parts, else the first of them; empty where one may be a class."""
    if not only_parts(names):
        return ""
    return next((name for name in names if name.lower().startswith("train")), next(iter(names), ""))
