"""Test pictures against the classes of a weights file: matched by the class's name, never by position.

What does not match is not guessed: it is listed, for a person to see.
"""

from __future__ import annotations

import csv
import difflib
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from curate.errors import UserError
from curate.words import listed


@dataclass(frozen=True)
class ClassMatch:
    """Which folder stands for which class.

    `labels` maps a folder's name to its class; `respelled` are those of them that differ in case or Unicode form;
    `unknown` are folders of no class, `missing` classes of no folder; `ambiguous` are those of `unknown` that
    differ from a class in case alone, where it is not clear which folder is meant. `mapped` are those of `labels` that a
    person named; `dropped` folders that a person left out.
    """

    labels: dict[str, str]
    respelled: dict[str, str]
    unknown: list[str]
    missing: list[str]
    ambiguous: list[str]
    mapped: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


def match_classes(
    folders: Sequence[str], classes: Sequence[str], mapping: Mapping[str, str] | None = None
) -> ClassMatch:
    """Match folder names to class names; the order of either does not matter.

    What `mapping` says (folder to class, "" to leave it out) counts first.

    A name that is equal decides. One that differs in case or Unicode form (NFC, NFD) alone is matched where exactly
    one class and exactly one folder are spelled so, and no folder bears the class's own name.
    """
    known = set(classes)
    mapping = mapping or {}
    mapped = {name: mapping[name] for name in folders if mapping.get(name)}
    dropped = sorted(name for name in folders if mapping.get(name) == "")
    folders = [name for name in folders if name not in mapping]
    labels = {name: name for name in folders if name in known}
    spelled_classes = Counter(map(_spelling, classes))
    spelled_folders = Counter(map(_spelling, folders))
    by_spelling = {_spelling(name): name for name in classes}
    respelled: dict[str, str] = {}
    ambiguous: list[str] = []
    for name in sorted(set(folders) - known):
        spelling = _spelling(name)
        if spelling not in by_spelling:
            continue
        if spelled_classes[spelling] == spelled_folders[spelling] == 1:
            respelled[name] = by_spelling[spelling]
        else:
            ambiguous.append(name)
    labels |= respelled | mapped
    return ClassMatch(
        labels=dict(sorted(labels.items())),
        respelled=respelled,
        unknown=sorted({*folders, *dropped} - set(labels)),
        missing=sorted(known - set(labels.values())),
        ambiguous=ambiguous,
        mapped=dict(sorted(mapped.items())),
        dropped=dropped,
    )


def _spelling(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def read_mapping(place: str | Path, classes: Sequence[str]) -> dict[str, str]:
    """Which folder, or label, is which class: from a CSV file whose first line is `folder,class`.

    An empty class leaves the folder out. Raises UserError where it cannot be read, has other columns, names a folder twice
    or a class that is none of `classes`.
    """
    form = "Write a first line `folder,class`, then one folder a line; an empty class leaves it out."
    place = Path(place)
    found: dict[str, str] = {}
    try:
        with place.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = [name.strip() for name in reader.fieldnames or []]
            if not {"folder", "class"} <= set(columns):
                raise UserError(f"{place}: its first line does not name the columns folder and class.", form)
            reader.fieldnames = columns
            for row in reader:
                folder, name = (row["folder"] or "").strip(), (row["class"] or "").strip()
                where = f"{place}, line {reader.line_num}"
                if not folder:
                    raise UserError(f"{where}: the folder is empty.", form)
                if folder in found:
                    raise UserError(f"{where}: {folder} is named twice.", "Name each folder once.")
                if name and name not in classes:
                    close = difflib.get_close_matches(name, classes, 1)
                    raise UserError(
                        f"{where}: '{name}' is no class of the weights.",
                        f"Did you mean '{close[0]}'?" if close else f"They know {listed(sorted(classes))}.",
                    )
                found[folder] = name
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{place}: cannot be read ({reason}).", "Give a CSV file in UTF-8.") from error
    if not found:
        raise UserError(f"{place}: names no folder.", form)
    return found
