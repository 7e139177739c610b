"""A CSV file with the columns path and label, and perhaps split."""

from __future__ import annotations

import csv
import difflib
import os
from collections.abc import Iterator
from pathlib import Path

from classify.data.items import Source
from classify.data.readers.parts import Purpose, Rows, chosen, joined
from curate.errors import UserError
from curate.parts import NAMES, part_of

_FORM = (
    "Write a first line `path,label` or `path,label,split`, then one picture a line: `cats/1.png,cat,train`."
)


def read_csv(place: Path, purpose: Purpose, folder: Path | None = None) -> Source | None:
    """Pictures that a CSV file names; paths are relative to `folder`, by default its own, or absolute.

    Values of `split` are the usual names of parts (`curate.parts.part_of`). Raises UserError for anything that is unclear, with
    the line's number.
    """
    if place.suffix.lower() != ".csv" or not place.is_file():
        return None
    parts: dict[str, Rows] = {}
    folder = (folder or place.parent).absolute()
    seen: dict[str, int] = {}
    for line, path, label, split in _lines(place):
        where = f"{place}, line {line}"
        if not path or not label:
            raise UserError(f"{where}: the {'label' if path else 'path'} is empty.", _FORM)
        if path in seen:
            raise UserError(
                f"{where}: {path} stands on line {seen[path]} already.",
                "Name each picture once, with one label.",
            )
        seen[path] = line
        parts.setdefault(_part(split, where), Rows()).add(path, label, os.path.join(folder, path))  # noqa: PTH118
    if not parts:
        raise UserError(f"{place}: names no pictures.", _FORM)
    if "" in parts:
        return joined(place, "csv", parts, purpose, [])
    names = chosen(parts, purpose, place)
    return joined(place, "csv", {name: parts[name] for name in names}, purpose, [])


def _lines(place: Path) -> Iterator[tuple[int, str, str, str | None]]:
    """Number, path, label and split (None without such a column) of each line that is not empty."""
    try:
        with place.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = [name.strip() for name in reader.fieldnames or []]
            _check_columns(place, columns)
            reader.fieldnames = columns
            for row in reader:
                values = {
                    name: (row[name] or "").strip() for name in ("path", "label", "split") if name in row
                }
                split = values["split"] if "split" in columns else None
                if None in row:
                    raise UserError(
                        f"{place}, line {reader.line_num}: has more values than the first line has columns.",
                        'Put values that contain a comma into quotes: "a,b.png",cat.',
                    )
                yield reader.line_num, values["path"], values["label"], split
    except OSError as error:
        raise UserError(
            f"{place}: cannot be read ({error.strerror}).", "Give a file that you may read."
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{place}: is not UTF-8 text ({error.reason}).", "Save it as CSV in UTF-8."
        ) from error
    except csv.Error as error:
        raise UserError(f"{place}: is not valid CSV ({error}).", _FORM) from error


def _check_columns(place: Path, columns: list[str]) -> None:
    if not columns:
        raise UserError(f"{place}: is empty.", _FORM)
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise UserError(f"{place}: has the column {', '.join(twice)} twice.", _FORM)
    missing = [name for name in ("path", "label") if name not in columns]
    if not missing:
        return
    hint = _FORM
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|"):
        hint = "Separate the columns by commas."
    raise UserError(
        f"{place}: has no column {' and no column '.join(missing)}; its first line names: {', '.join(columns)}.",
        hint,
    )


def _part(split: str | None, where: str) -> str:
    """The part that a value of `split` means; "" where there is no such column."""
    if split is None:
        return ""
    if found := part_of(split):
        return found
    close = difflib.get_close_matches(split.lower(), NAMES, 1)
    raise UserError(
        f"{where}: '{split}' is no split.",
        (f"Did you mean '{close[0]}'? " if close else "") + "It is train, val or test.",
    )
