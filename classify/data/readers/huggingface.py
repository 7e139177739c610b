"""What the library `datasets` of Hugging Face leaves on disk: folders of `save_to_disk`, and parquet files.

Both are read with pyarrow alone. Labels are read at once, pictures a group of rows at a time, when they are needed.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classify.data.items import Source
from classify.data.readers.columns import Columns, find_columns, has_images
from classify.data.readers.listing import names_in
from classify.data.readers.parts import NAMES, Purpose, Rows, chosen, joined
from curate.errors import UserError
from curate.images import Unreadable

_KEPT = 4
"""Groups of rows of one file that are held at a time; batches that are decoded at once lie in neighbouring ones."""

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
        return _source(place, "arrow", files, purpose, _Streams)
    if {"state.json", "dataset_info.json"} <= here:
        return _source(place, "arrow", {"": _stream_files(place)}, purpose, _Streams)
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
        return _source(place, "parquet", {"": [place]}, purpose, _Parquet)
    files = _parquet_files(place)
    if not files or not _holds_images(files[0]):
        return None
    parts: dict[str, list[Path]] = {}
    for file in files:
        parts.setdefault(_part_of(file, place), []).append(file)
    return _source(place, "parquet", parts, purpose, _Parquet)


def _parquet_files(place: Path) -> list[Path]:
    """Those right in the folder, else those in `data` or in folders called like parts."""
    here = names_in(place)
    if files := _with_ending(place, here):
        return files
    inner = [place / name for name in sorted(here) if name == "data" or name.lower() in NAMES]
    return [file for folder in inner for file in _with_ending(folder, names_in(folder))]


def _with_ending(folder: Path, names: set[str]) -> list[Path]:
    return [folder / name for name in sorted(names) if name.endswith(".parquet") and not name.startswith(".")]


def _holds_images(file: Path) -> bool:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return has_images(parquet.read_schema(file))
    except (OSError, pa.ArrowException):
        return False


def _part_of(file: Path, place: Path) -> str:
    """The part as the file's name or its folder's says it; "" where neither does."""
    name = _PART.split(file.name, maxsplit=1)[0]
    if name.lower() in NAMES:
        return name
    return file.parent.name if file.parent != place and file.parent.name.lower() in NAMES else ""


# Rows -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """One picture: its place in a file."""

    file: _File
    group: int
    row: int

    def load(self) -> str | bytes:
        return self.file.picture(self.group, self.row)


class _File:
    """A file of Arrow rows in groups; keeps the groups of pictures that were asked for last. Threads may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.groups: OrderedDict[int, Any] = OrderedDict()
        self.columns = find_columns(self.schema(), str(path))

    def schema(self) -> Any:
        """The Arrow schema."""
        raise NotImplementedError

    def labels(self) -> Iterator[list[Any]]:
        """The labels of each group of rows, as Python objects."""
        raise NotImplementedError

    def load(self, group: int) -> Any:
        """The column of pictures of a group: an Arrow array."""
        raise NotImplementedError

    def picture(self, group: int, row: int) -> str | bytes:
        """The bytes of a picture, or where its file lies. Raises `curate.images.Unreadable`."""
        import pyarrow as pa

        with self.lock:
            if group not in self.groups:
                try:
                    self.groups[group] = self.load(group)
                except (OSError, pa.ArrowException) as error:
                    raise Unreadable("corrupt", str(error)[:200]) from error
                if len(self.groups) > _KEPT:
                    self.groups.popitem(last=False)
            value = self.groups[group][row].as_py()
        if not isinstance(value, dict):
            value = {"bytes": value}
        if value["bytes"] is not None:
            return bytes(value["bytes"])
        if value.get("path"):
            return os.path.join(self.path.absolute().parent, value["path"])  # noqa: PTH118  it may be absolute
        raise Unreadable("empty")


class _Streams(_File):
    """An Arrow stream file, mapped into memory: nothing of it is read before it is needed."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
        self.batches = self.table.to_batches()
        super().__init__(path)

    def schema(self) -> Any:
        return self.table.schema

    def labels(self) -> Iterator[list[Any]]:
        return (batch.column(self.columns.label).to_pylist() for batch in self.batches)

    def load(self, group: int) -> Any:
        return self.batches[group].column(self.columns.image)


class _Parquet(_File):
    """A parquet file; its row groups are the groups."""

    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self.file = parquet.ParquetFile(path)
        super().__init__(path)

    def schema(self) -> Any:
        return self.file.schema_arrow

    def labels(self) -> Iterator[list[Any]]:
        for group in range(self.file.num_row_groups):
            yield self.file.read_row_group(group, [self.columns.label]).column(0).to_pylist()

    def load(self, group: int) -> Any:
        return self.file.read_row_group(group, [self.columns.image]).column(self.columns.image)


def _source(
    place: Path,
    kind: str,
    files: Mapping[str, Sequence[Path]],
    purpose: Purpose,
    opened: Callable[[Path], _File],
) -> Source:
    """The rows of the parts that are wanted. `files` are by the part's own name, "" where there is no part."""
    by_part: dict[str, list[Path]] = {}
    for name, paths in files.items():
        by_part.setdefault(NAMES.get(name.lower(), ""), []).extend(paths)
    usable = [name for name in by_part if name]
    names = chosen(usable, purpose, place) if usable else [""]
    notes = []
    others = [name for name in files if name and name.lower() not in NAMES]
    if others and usable:
        notes.append(f"Neither training, validation nor test part, so left out: {', '.join(others)}.")
    elif others:
        raise UserError(
            f"{place}: its parts are {', '.join(others)}: none of them is a training, validation or test part.",
            "Give one part's own folder.",
        )
    parts, classes = {}, None
    for name in names:
        parts[name] = Rows()
        missing = 0
        for path in by_part[name]:
            file = _opened(path, opened)
            if classes is None:
                classes = file.columns.classes
            elif file.columns.classes not in (None, classes):
                raise UserError(
                    f"{path}: names other classes than the files before it.", "Give files of one set only."
                )
            missing += _add(
                parts[name], file, path.relative_to(place).as_posix() if path != place else path.name
            )
        if missing:
            notes.append(f"{missing:,} rows have no label and are left out.")
    return joined(place, kind, parts, purpose, notes)


def _opened(path: Path, opened: Callable[[Path], _File]) -> _File:
    import pyarrow as pa

    try:
        return opened(path)
    except (OSError, pa.ArrowException) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: cannot be read ({text}).", "The file is damaged or cut short: copy it again."
        ) from error


def _add(rows: Rows, file: _File, name: str) -> int:
    """Append the file's pictures, `name[row]` each; the number of rows without a label."""
    number, missing = 0, 0
    for group, labels in enumerate(file.labels()):
        for row, value in enumerate(labels):
            label = _label(value, file.columns, f"{file.path}, row {number}")
            if label is None:
                missing += 1
            else:
                rows.add(f"{name}[{number}]", label, _Row(file, group, row))
            number += 1
    return missing


def _label(value: Any, columns: Columns, where: str) -> str | None:
    """The class's name; None where there is no label (`datasets` writes -1 for that). Raises UserError."""
    if value is None or value == "" or (isinstance(value, int) and value < 0):
        return None
    if columns.classes is None or isinstance(value, str):
        return str(value)
    if value >= len(columns.classes):
        raise UserError(
            f"{where}: has the label {value}; the metadata name {len(columns.classes)} classes.",
            "The file is damaged: copy it again.",
        )
    return columns.classes[int(value)]
