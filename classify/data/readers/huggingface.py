"""What the library `datasets` of Hugging Face leaves on disk: folders of `save_to_disk`, and parquet files.

Both are read with pyarrow alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from classify.data.items import Source
from classify.data.readers.columns import has_images
from classify.data.readers.listing import names_in
from classify.data.readers.parts import Purpose, Rows, chosen, joined
from classify.data.readers.rows import ParquetFile, RowFile, StreamFile, add_rows, open_rows
from curate.errors import UserError
from curate.parts import part_of

_PART = re.compile(r"[-_.]|\Z")


# Folders of save_to_disk ----------------------------------------------------------------------------------------


def read_arrow(place: Path, purpose: Purpose) -> Source | None:
    """A folder that `save_to_disk` of a Dataset or DatasetDict left: Arrow stream files, listed in `state.json`.

    Raises UserError.
    """
    here = names_in(place)
    if "dataset_dict.json" in here:
        splits = _json(place / "dataset_dict.json").get("splits")
        names = [str(name) for name in splits] if isinstance(splits, list) else []
        missing = [name for name in names if not (place / name / "state.json").is_file()]
        if missing:
            raise UserError(
                f"{place}: its dataset_dict.json names {missing[0]}, but {missing[0]}/state.json is missing.",
                _COPY,
            )
        files = {name: _stream_files(place / name) for name in names}
        return _source(place, "arrow", files, purpose, StreamFile)
    if {"state.json", "dataset_info.json"} <= here:
        return _source(place, "arrow", {"": _stream_files(place)}, purpose, StreamFile)
    return None


_COPY = "Copy the whole folder that `save_to_disk` wrote."


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}).", _COPY) from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: is not what `save_to_disk` writes.", _COPY)
    return found


def _stream_files(folder: Path) -> list[Path]:
    state = _json(folder / "state.json")
    if state.get("_indices_data_files"):
        raise UserError(
            f"{folder}: is a selection of rows beside its files, as old versions of `datasets` wrote it.",
            "Load it with `datasets`, and save it again after `flatten_indices()`.",
        )
    try:
        files = [folder / entry["filename"] for entry in state["_data_files"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder / 'state.json'}: names no data files.", _COPY) from error
    for file in files:
        if not file.is_file():
            raise UserError(f"{folder}: its state.json names {file.name}, which is missing.", _COPY)
    return files


# Parquet --------------------------------------------------------------------------------------------------------


def read_parquet(place: Path, purpose: Purpose) -> Source | None:
    """A parquet file, or a folder of them (or with a folder `data` of them), with a column of pictures and one of labels.

    A file's part is in the beginning of its name, `train-00000-of-00001.parquet`, or is its folder's name. Other
    parquet files (tables without pictures) do not make a folder a data set. Raises UserError.
    """
    if place.is_file() and place.suffix.lower() == ".parquet":
        return _source(place, "parquet", {"": [place]}, purpose, ParquetFile)
    files = _parquet_files(place)
    held = [_holds_images(file) for file in files]
    if not any(held):
        if None in held and not _other_folders(place):
            open_rows(files[held.index(None)], ParquetFile)  # says what is wrong with it
        return None
    parts: dict[str, list[Path]] = {}
    for file in files:
        parts.setdefault(_part_of(file, place), []).append(file)
    return _source(place, "parquet", parts, purpose, ParquetFile)


def _parquet_files(place: Path) -> list[Path]:
    """Those right in the folder, else those in `data` or in folders called like parts."""
    here = names_in(place)
    if files := _with_ending(place, here):
        return files
    inner = [place / name for name in sorted(here) if name == "data" or part_of(name)]
    return [file for folder in inner for file in _with_ending(folder, names_in(folder))]


def _with_ending(folder: Path, names: set[str]) -> list[Path]:
    return [folder / name for name in sorted(names) if name.endswith(".parquet") and not name.startswith(".")]


def _holds_images(file: Path) -> bool | None:
    """None where the file cannot be read."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return has_images(parquet.read_schema(file))
    except (OSError, pa.ArrowException):
        return None


def _other_folders(place: Path) -> bool:
    """Whether there are folders that might be classes."""
    return any((place / name).is_dir() for name in names_in(place) if name != "data" and not part_of(name))


def _part_of(file: Path, place: Path) -> str:
    """The part as the file's name or its folder's says it; "" where neither does."""
    name = _PART.split(file.name, maxsplit=1)[0]
    if part_of(name):
        return name
    return file.parent.name if file.parent != place and part_of(file.parent.name) else ""


# Both ----------------------------------------------------------------------------------------------------


def _source(
    place: Path,
    kind: str,
    files: Mapping[str, Sequence[Path]],
    purpose: Purpose,
    opened: Callable[[Path], RowFile],
) -> Source:
    """The rows of the parts that are wanted. `files` are by the part's own name, "" where there is no part."""
    names, notes = _parts(list(files), purpose, place)
    parts: dict[str, Rows] = {name: Rows() for name in names}
    classes: list[str] | None = None
    missing = 0
    for own, paths in files.items():
        rows = parts.get(part_of(own))
        for path in paths if rows is not None else ():
            file = open_rows(path, opened)
            if classes is not None and file.columns.classes != classes:
                raise UserError(
                    f"{path}: names other classes than the files before it.", "Give files of one set only."
                )
            classes = file.columns.classes
            shown = path.relative_to(place).as_posix() if path != place else path.name
            missing += add_rows(rows or Rows(), file, shown)
    if missing:
        notes.append(f"{missing:,} rows have no label and are left out.")
    return joined(place, kind, parts, purpose, notes)


def _parts(own: list[str], purpose: Purpose, place: Path) -> tuple[list[str], list[str]]:
    """Which parts are read ("": all there is), from a set's own names of them, and a sentence on those of other names."""
    known = set(filter(None, map(part_of, own)))
    others = [name for name in own if name and not part_of(name)]
    if others and not known:
        raise UserError(
            f"{place}: its parts are {', '.join(others)}: none of them is a training, validation or test part.",
            "Give one part's own folder.",
        )
    notes = (
        [f"Neither training, validation nor test part, so left out: {', '.join(others)}."] if others else []
    )
    if known and "" in own:
        notes.append("Files whose names tell no part are left out.")
    return (chosen(known, purpose, place) if known else [""]), notes
