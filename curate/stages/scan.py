"""Walk a folder and measure each file once: the table `files`.

The walk lists what is there; what the workspace knows already (same path, size and time of change) is taken over; the
rest is read in worker processes, each file once: hash of its bytes, facts of its header, measures of its pixels. What
was read is put aside in the workspace every other second, so a killed scan goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from curate import images, measures
from curate.engine import map_chunks
from curate.errors import UserError
from curate.paths import path_from_text
from curate.tables import FILES
from curate.walk import Walk, suffix, walk

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from curate.pipeline import Context
    from curate.workspace import Workspace

VERSION = 1

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ScanSettings:
    """Nothing to set: a scan measures the same of every folder."""


def run(context: Context, settings: ScanSettings) -> dict[str, pd.DataFrame]:
    """Scan the workspace's folder; returns the table `files`.

    Raises UserError where the folder holds no picture or may not be read.
    """
    import pandas as pd
    import pyarrow as pa

    root = os.fspath(context.workspace.root)
    found = walk(root)
    if not found.files:
        raise _no_pictures(root, found)
    parts = _Parts(context.workspace)
    listing = pd.DataFrame(found.files, columns=["path", "size", "mtime_ns"])
    known = _unchanged(_stored(context.workspace), parts.load(), listing)
    missing = ~listing["path"].isin(known.column("path").to_pandas())
    todo = list(listing[missing].itertuples(index=False, name=None))
    del listing
    parts.begin()
    try:
        for rows in map_chunks(
            functools.partial(read_rows, root), todo, workers=context.workers, progress=context.progress
        ):
            parts.add(rows)
    finally:
        parts.flush()
    frame: pd.DataFrame = pa.concat_tables([known, parts.load()]).to_pandas()
    frame = frame.sort_values("path", kind="stable").reset_index(drop=True)
    if not ((frame["status"] == "ok") | (frame["path"].map(suffix) != "")).any():
        parts.remove()
        raise _no_pictures(root, found)
    context.say(_summary(frame, known.num_rows, found))
    parts.remove()
    return {"files": frame}


# Reading -------------------------------------------------------------------------------------------------------


def read_rows(root: str, files: Sequence[tuple[str, int, int]]) -> list[Row]:
    """Rows of the table `files` for files as `Walk.files` lists them."""
    return [read_row(root, *file) for file in files]


def read_row(root: str, path: str, size: int, mtime_ns: int) -> Row:
    """One row of the table `files`: the file is read once, hashed, decoded (JPEG at reduced scale) and measured.

    `size` and `mtime_ns` are those of the walk; the row holds those of the moment when the file was read.
    """
    row: Row = {
        "path": path,
        "content": "",
        "size": size,
        "mtime_ns": mtime_ns,
        "label": path.partition("/")[0] if "/" in path else "",
        "status": "ok",
        "reason": "",
        "detail": "",
    }
    try:
        data, about = images.read_file(f"{root}/{path_from_text(path)}")
        row["size"], row["mtime_ns"] = about.st_size, about.st_mtime_ns
        row["content"] = hashlib.sha256(data).hexdigest()
        return row | facts(data)
    except images.Unreadable as error:
        detail = error.detail.encode("utf-8", "replace").decode()
        row.update(status="unreadable", reason=error.reason, detail=detail)
        return row | _NO_FACTS


_NO_FACTS: Row = {
    "width": 0,
    "height": 0,
    "mode": "",
    "format": "",
    "frames": 0,
    "orientation": 1,
    "transparency": None,
    **dict.fromkeys(measures.NAMES),
}


def facts(data: bytes) -> Row:
    """Facts of the header and measures of the pixels of a file's bytes: the columns of `files` from `width` on.

    Raises Unreadable.
    """
    image = images.open_image(data, at_least=measures.SHORT_SIDE)
    width, height = image.info["stored_size"]
    turn = images.orientation(image)
    if turn >= 5:  # these turn by a quarter
        width, height = height, width
    return {
        "width": width,
        "height": height,
        "mode": image.mode,
        "format": "JPEG" if image.format == "MPO" else image.format,
        "frames": _frames(data, image),
        "orientation": turn,
        "transparency": _transparency(image),
        **measures.measure(images.to_rgb(image)),
    }


def _frames(data: bytes, image: Image.Image) -> int:
    """Number of frames, as far as they can be found; 1 for the several pictures of a camera's JPEG."""
    if image.format == "MPO":
        return 1
    if image.format in ("GIF", "TIFF"):  # counting moves on in the file and forgets the decoded frame
        try:
            return int(getattr(Image.open(io.BytesIO(data)), "n_frames", 1))
        except Exception:  # damaged behind the first frame, which is all that is used
            return 1
    return int(getattr(image, "n_frames", 1))


def _transparency(image: Image.Image) -> float:
    """Share of pixels with alpha below one half, 0..1."""
    if not images.has_alpha(image) or image.mode.startswith("I"):
        return 0.0
    alpha = (image if image.mode in ("RGBA", "LA") else image.convert("RGBA")).getchannel("A")
    return sum(alpha.histogram()[:128]) / (alpha.width * alpha.height)


# What is known already -----------------------------------------------------------------------------------------

PASSING = ("permission", "vanished", "changed", "io_error")
"""Reasons that may be gone at the next look though size and time of change are the same."""


def _stored(workspace: Workspace) -> pa.Table:
    """The rows of the last scan that ended, if this version of the scan made them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    origin = workspace.origin("files")
    if origin is None or origin.version != VERSION:
        return FILES.arrow_schema().empty_table()
    file = workspace.path / "files.parquet"
    try:
        return pq.read_table(file).replace_schema_metadata(None)
    except (pa.ArrowException, OSError):  # damaged behind a whole footer: made anew
        file.unlink()
        return FILES.arrow_schema().empty_table()


def _unchanged(stored: pa.Table, parts: pa.Table, listing: pd.DataFrame) -> pa.Table:
    """Rows that still hold: of files listed with the same size and time of change. A part outdoes the stored table."""
    import pandas as pd
    import pyarrow as pa

    rows = pa.concat_tables([stored, parts])
    keys = rows.select(["path", "size", "mtime_ns", "reason"]).to_pandas()
    keys["row"] = range(len(keys))
    keys = keys[~keys["reason"].isin(PASSING)].drop_duplicates("path", keep="last")
    same = pd.merge(keys, listing, on=["path", "size", "mtime_ns"])
    return rows.take(pa.array(same["row"].sort_values().to_numpy()))


class _Parts:
    """Rows that a scan has read so far, in small Parquet files in the workspace, until it ends well."""

    _ROWS = 2048
    _SECONDS = 2.0
    _FOLDER = "scan.parts"
    _MARK = json.dumps({"scan": VERSION, "schema": FILES.version}).encode()

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.folder = workspace.path / self._FOLDER
        self.first = 0  # number of the first part that `load` gives
        self.next = 0  # number of the part to be written next
        self.rows: list[Row] = []
        self.flushed = time.monotonic()

    def load(self) -> pa.Table:
        """The rows of the parts: before `begin` what a killed scan left, after it what this one has put aside."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = [FILES.arrow_schema().empty_table()]
        for file in sorted(self.folder.glob("*.parquet")):
            number = int(file.stem) if file.stem.isdecimal() else -1
            self.next = max(self.next, number + 1)
            if number < self.first:
                continue
            try:
                table = pq.read_table(file)
            except (pa.ArrowException, OSError):
                continue
            if (table.schema.metadata or {}).get(b"curate") == self._MARK:
                tables.append(table.replace_schema_metadata(None))
        return pa.concat_tables(tables)

    def begin(self) -> None:
        """From now on rows are this scan's own."""
        self.first = self.next
        self.flushed = time.monotonic()

    def add(self, rows: Iterable[Row]) -> None:
        """Take rows, and put them on disk now and then."""
        self.rows.extend(rows)
        if len(self.rows) >= self._ROWS or time.monotonic() - self.flushed > self._SECONDS:
            self.flush()

    def flush(self) -> None:
        """Put the rows taken so far on disk."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self.rows:
            schema = FILES.arrow_schema().with_metadata({b"curate": self._MARK})
            with self.workspace.replacing(f"{self._FOLDER}/{self.next:06d}.parquet") as temporary:
                self.folder.mkdir(exist_ok=True)
                pq.write_table(pa.Table.from_pylist(self.rows, schema), temporary)
            self.rows = []
            self.next += 1
        self.flushed = time.monotonic()

    def remove(self) -> None:
        """The scan has ended well."""
        shutil.rmtree(self.folder, ignore_errors=True)


# Telling -------------------------------------------------------------------------------------------------------


def _summary(frame: pd.DataFrame, known: int, found: Walk) -> str:
    """One sentence on what the scan found."""
    reasons = Counter(frame.loc[frame["status"] != "ok", "reason"])
    bad = reasons.total()
    text = f"{len(frame):,} {'picture' if len(frame) == 1 else 'pictures'}"
    if bad:
        each = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
        text += f", {bad:,} of them unreadable ({each})"
    if known:
        text += f", {known:,} unchanged since they were last read"
    left = found.left_out_in_words()
    return f"{text}; left out: {left}." if left else f"{text}."


def _no_pictures(root: str, found: Walk) -> UserError:
    holds = found.left_out_in_words()
    if found.files:
        count = len(found.files)
        holds = f"{count:,} {'file' if count == 1 else 'files'} without an ending that {'is' if count == 1 else 'are'} no picture{', ' if holds else ''}{holds}"
    return UserError(
        f"{root}: holds no pictures: {holds or 'it is empty'}.",
        "Give a folder with pictures in it (.jpg, .png, .webp, .gif, ...), best in one folder a class.",
    )
