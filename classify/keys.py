"""A key of the settings: declared with its meaning and limits, and changed to what fits them.

Keys are fields of a dataclass; a value is of the field's own type.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import tomllib
import typing
from collections.abc import Mapping
from typing import Any

from curate.errors import UserError, known_names

_ALIKE = 0.7
"""Likeness (difflib's ratio) from which a word is taken for another one misspelt."""


def key(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    zero: bool = False,
) -> Any:
    """A field of this default and meaning, from `low` to `high` or one of `choices`; `zero`: 0 too, whatever `low` is."""
    limits = {"meaning": meaning, "low": low, "high": high, "choices": choices, "zero": zero}
    return dataclasses.field(default=default, metadata=limits)


def share(default: float, meaning: str) -> Any:
    """A key from 0 to 1."""
    return key(default, meaning, low=0, high=1)


def from_text(text: str) -> Any:
    """A value as TOML writes it; what is no TOML value is a text without quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:  # no TOML, or a number of thousands of digits
        return text


def replaced(section: Any, name: str, given: Mapping[str, Any], origin: str) -> Any:
    """The dataclass `section`, which people call `name`, with other values in the keys `given`.

    `origin` names the file or option in errors. Raises UserError for a key that there is not, with the one that was
    perhaps meant, and for a value that does not fit, with the reason.
    """
    fields = {field.name: field for field in dataclasses.fields(section)}
    hints = typing.get_type_hints(type(section))
    new = {}
    for own, value in given.items():
        if own not in fields:
            remedy = _meant(own, fields) or known_names(own, list(fields))
            raise UserError(f"{origin}: there is no key '{name}.{own}'.", remedy)
        new[own] = _checked(value, hints[own], fields[own], f"{origin}: {name}.{own}")
    return dataclasses.replace(section, **new)


def _meant(name: str, fields: Mapping[str, dataclasses.Field[Any]]) -> str:
    """The remedy where no key is called nearly so, but the words of `name`, nearly, stand in the meaning of one."""
    words = [word for word in name.lower().split("_") if word]
    if difflib.get_close_matches(name, fields, 1, _ALIKE):
        return ""
    for field in fields.values():
        meaning = re.findall(r"\w+", field.metadata["meaning"].lower())
        if words and all(difflib.get_close_matches(word, meaning, 1, _ALIKE) for word in words):
            return f"Did you mean '{field.name}' ({field.metadata['meaning']})? Known: {', '.join(fields)}."
    return ""


_HUGE = 10**300
"""Whole numbers from here on are too large for a float."""

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def _checked(value: Any, hint: Any, field: dataclasses.Field[Any], where: str) -> Any:
    """The value in the key's type and within its limits. Raises UserError."""
    meaning = f"It is: {field.metadata['meaning']}."
    if hint == tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) and text for text in texts):
            raise UserError(f"{where} is a list of texts, not {value!r}.", meaning)
        return tuple(texts)
    if hint not in _WORDS:
        count = len(typing.cast("tuple[int, ...]", field.default))
        if not isinstance(value, list | tuple) or len(value) != count:
            raise UserError(f"{where} is a list of {count} whole numbers, not {value!r}.", meaning)
        return tuple(_checked(item, int, field, where) for item in value)
    if hint is float and type(value) is int:
        value = float(value) if abs(value) < _HUGE else math.inf
    if type(value) is not hint:
        raise UserError(f"{where} is {_WORDS[hint]}, not {value!r}.", meaning)
    low, high, choices = (field.metadata[limit] for limit in ("low", "high", "choices"))
    if choices and value not in choices:
        raise UserError(f"{where} is '{value}'.", known_names(value, choices))
    if field.metadata["zero"] and value == 0:
        return value
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        limits = f"from {low:g} to {high:g}" if high is not None else f"{low:g} or more"
        limits += ", or 0" if field.metadata["zero"] else ""
        raise UserError(f"{where} is {value!r}; it must be {limits}.", meaning)
    if hint is float and not math.isfinite(value):
        raise UserError(f"{where} is {value!r}; it must be a finite number.", meaning)
    return value
