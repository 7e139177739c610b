"""Pictures in the rows of an Arrow stream file or a parquet file.

Labels are read at once, pictures a group of rows at a time, when they are needed.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classify.data.readers.columns import Columns, find_columns
from classify.data.readers.parts import Rows
from curate.errors import UserError
from curate.images import Unreadable

_KEPT = 4
"""Groups of rows of one file that are held at a time; batches that are decoded at once lie in neighbouring ones."""


@dataclass(frozen=True, slots=True)
class Row:
    """One picture: its place in a file."""

    file: RowFile
    group: int
    row: int

    def load(self) -> str | bytes:
        """See `classify.data.items.Stored`."""
        return self.file.picture(self.group, self.row)


class RowFile:
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


class StreamFile(RowFile):
    """An Arrow stream file, mapped into memory: nothing of it is read before it is needed."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.table = pa.ipc.open_stream(pa.memory_map(str(path))).read_all()
        self.batches = self.table.to_batches()
        super().__init__(path)

    def schema(self) -> Any:
        """The Arrow schema."""
        return self.table.schema

    def labels(self) -> Iterator[list[Any]]:
        """The labels of each record batch, or row group."""
        return (batch.column(self.columns.label).to_pylist() for batch in self.batches)

    def load(self, group: int) -> Any:
        """The column of pictures of a group."""
        return self.batches[group].column(self.columns.image)


class ParquetFile(RowFile):
    """A parquet file; its row groups are the groups."""

    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self.file = parquet.ParquetFile(path)
        super().__init__(path)

    def schema(self) -> Any:
        """The Arrow schema."""
        return self.file.schema_arrow

    def labels(self) -> Iterator[list[Any]]:
        """The labels of each record batch, or row group."""
        for group in range(self.file.num_row_groups):
            yield self.file.read_row_group(group, [self.columns.label]).column(0).to_pylist()

    def load(self, group: int) -> Any:
        """The column of pictures of a group."""
        return self.file.read_row_group(group, [self.columns.image]).column(self.columns.image)


def open_rows(path: Path, opened: Callable[[Path], RowFile]) -> RowFile:
    """The file, opened. Raises UserError where it is damaged, or its columns will not do."""
    with _readable(path):
        return opened(path)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """What Arrow raises while the file is read, as UserError."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: cannot be read ({text}).", "The file is damaged or cut short: copy it again."
        ) from error


def add_rows(rows: Rows, file: RowFile, name: str) -> int:
    """Append the file's pictures, `name[row]` each; the number of rows without a label. Raises UserError."""
    number, missing = 0, 0
    with _readable(file.path):
        for group, labels in enumerate(file.labels()):
            for row, value in enumerate(labels):
                label = _label(value, file.columns, f"{file.path}, row {number}")
                if label is None:
                    missing += 1
                else:
                    rows.add(f"{name}[{number}]", label, Row(file, group, row))
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
