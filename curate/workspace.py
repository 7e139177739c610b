"""Where the tables of a folder live, who may write them, and what is stale.

A workspace is a folder `NAME.curate` beside the user's folder `NAME` (or wherever `--workspace` says). A table is
written to a temporary file in it, flushed to disk and renamed, so a reader sees the old table or the new one and
never half of one. The file's metadata say which settings and which inputs it was made from: that is how a stage
knows whether it is fresh.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import Locked, UserError
from curate.paths import path_from_text, path_to_text
from curate.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd

_MARK = "workspace.json"
_KEY = b"curate"


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a stored table was made from.

    `settings` are the stage's own; `inputs` maps each input table to its digest; `digest` is that of this table's
    rows; `version` that of the stage's algorithm.
    """

    settings: dict[str, Any]
    inputs: dict[str, str]
    digest: str
    version: int


def _recorded_root(place: Path) -> str:
    """The folder that the workspace in `place` says it is of; empty where it is no workspace. Raises UserError."""
    try:
        if not (place / _MARK).is_file():
            return ""
        return path_from_text(json.loads((place / _MARK).read_text(encoding="utf-8"))["root"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(
            f"{place / _MARK}: cannot be read ({error}).", "Make the workspace anew with `curate scan DIR`."
        ) from error


class Workspace:
    """The tables of one folder.

    Parameters
    ----------
    root : the user's folder.
    path : the workspace's folder; by default `NAME.curate` beside `root`.
    """

    def __init__(self, root: str | Path, path: str | Path | None = None) -> None:
        self.root = Path(root).absolute()
        self.made = False
        """Whether this object made the workspace's folder."""
        if path is not None:
            self.path = Path(os.path.realpath(path))
        elif self.root.name:
            self.path = self.root.with_name(self.root.name + ".curate")
        else:
            raise UserError(
                f"{self.root}: has no place beside it for a workspace.", "Give one with --workspace W."
            )

    @classmethod
    def open(cls, root: str | Path, path: str | Path | None = None) -> Workspace:
        """The workspace of the folder `root`, made if there is none. Raises UserError where that cannot be."""
        root = Path(root)
        try:
            if not os.path.lexists(root):
                raise UserError(
                    f"{root}: there is no such folder.",
                    "Check the path; it is taken from the current folder.",
                )
            if not stat.S_ISDIR(root.stat().st_mode):
                raise UserError(
                    f"{root}: is a file, not a folder.", "Give the folder that holds the pictures."
                )
            workspace = cls(root.resolve(), path)
            its = _recorded_root(workspace.root)
        except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError
            reason = error.strerror if isinstance(error, OSError) else error
            raise UserError(
                f"{root}: cannot be looked at ({reason}).", "Give a folder that you may read."
            ) from error
        if its:
            raise UserError(f"{root}: is the workspace of {its}, not a folder of pictures.", f"Give {its}.")
        if workspace.path == workspace.root or workspace.root in workspace.path.parents:
            raise UserError(
                f"{workspace.path}: a workspace cannot lie inside the folder that it describes.",
                "Give another place with --workspace.",
            )
        workspace._create()
        if path is not None:
            workspace._see_whose()
        return workspace

    def _see_whose(self) -> None:
        """Raise UserError where the workspace, which was named, is another folder's that is still there."""
        recorded = _recorded_root(self.path)
        if not Path(recorded).is_dir():  # the folder was moved
            self._mark()
        elif not self.root.samefile(recorded):
            raise UserError(
                f"{self.path}: is the workspace of {recorded}, not of {self.root}.",
                "Give another place with --workspace.",
            )

    @classmethod
    def find(cls, place: str | Path, path: str | Path | None = None) -> Workspace | None:
        """The workspace that exists at `place` (a workspace, or a folder with one beside it); None if there is none."""
        place = Path(place)
        if path is None and (root := _recorded_root(place)):
            beside = place.absolute().with_name(place.absolute().name.removesuffix(".curate"))
            # A folder moved together with its workspace is still found.
            return cls(root if Path(root).is_dir() or not beside.is_dir() else beside, place)
        workspace = cls(place.resolve(), path)
        return workspace if (workspace.path / _MARK).is_file() else None

    def _create(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self.path.mkdir()
                self.made = True
            if not self.path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not (self.path / _MARK).is_file():
                self._mark()
        except OSError as error:
            if self.made:
                with contextlib.suppress(OSError):
                    self.path.rmdir()
            raise self._closed(error) from error

    def _mark(self) -> None:
        self.write_bytes(_MARK, json.dumps({"root": path_to_text(str(self.root))}).encode())

    def _closed(self, error: OSError) -> UserError:
        return UserError(
            f"{self.path}: the workspace cannot be written ({error.strerror}).",
            "Give a folder that you may write to with --workspace W.",
        )

    # Writing ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace for writing. Raises Locked where another run holds it; a killed run holds nothing."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise Locked(
                f"{self.path}: another run is at work in this workspace.",
                "Wait for it to end, or give another place with --workspace.",
            ) from error
        except OSError as error:  # a time-out is one too
            raise self._closed(error) from error
        try:
            self._sweep()
            yield
        finally:
            lock.release()

    def _sweep(self) -> None:
        """Remove what a killed writer left."""
        for left in self.path.glob(".*.tmp"):
            with contextlib.suppress(OSError):
                left.unlink()

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[Path]:
        """A path to write to, which takes the place of `name` when the block ends well and is gone when it does not."""
        temporary = self.path / f".{name.replace('/', '_')}.{os.getpid()}.tmp"
        target = self.path / name
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise UserError(
                    f"{target}: cannot be written: {error.strerror or 'the disk is full'}. The table before it is untouched.",
                    "Make room, or give another place with --workspace, then run the same command again.",
                ) from error
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise self._closed(error) from error
            raise
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def write_bytes(self, name: str, data: bytes) -> Path:
        """Put `data` into the file `name` of the workspace, all or nothing."""
        with self.replacing(name) as temporary:
            temporary.write_bytes(data)
        return self.path / name

    def write(
        self,
        name: str,
        frame: pd.DataFrame,
        *,
        settings: Mapping[str, Any] | None = None,
        inputs: Mapping[str, str] | None = None,
        version: int = 1,
    ) -> str:
        """Store a table, sorted by its key and brought to its schema; returns the digest of its rows.

        A table that is stored already, made from the same, is not written again. Raises KeyError for an unknown table
        or a missing column.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = TABLES[name]
        ordered = frame.sort_values(list(table.key), kind="stable").reset_index(drop=True)
        rows = pa.Table.from_pandas(ordered[list(table.columns)], table.arrow_schema(), preserve_index=False)
        rows = rows.replace_schema_metadata(None).combine_chunks()
        digest = _digest(rows)
        origin = {
            "schema": table.version,
            "settings": dict(settings or {}),
            "inputs": dict(inputs or {}),
            "digest": digest,
            "version": version,
        }
        about = {_KEY: json.dumps(origin, sort_keys=True).encode()}
        if self._stored(name) == about[_KEY]:  # the same table: its file keeps its time, and a disk its rest
            return digest
        rows = rows.replace_schema_metadata(about)
        with self.replacing(f"{name}.parquet") as temporary:
            pq.write_table(rows, temporary, compression="zstd")
        return digest

    # Reading ---------------------------------------------------------------------------------------------------

    def _stored(self, name: str) -> bytes | None:
        """What the stored table's file says of itself; None where it cannot be read."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return (pq.read_schema(self.path / f"{name}.parquet").metadata or {}).get(_KEY)
        except (pa.ArrowInvalid, OSError):
            return None

    def has(self, name: str) -> bool:
        """Whether the table is there, in today's schema."""
        return self.origin(name) is not None

    def origin(self, name: str) -> Origin | None:
        """What the stored table was made from; None where there is none, or one of another schema version."""
        stored = self._stored(name)
        if stored is None:
            return None
        try:
            found = json.loads(stored)
            if found.pop("schema") != TABLES[name].version:
                return None
            return Origin(**found)
        except (KeyError, ValueError, TypeError):
            return None

    def read(self, name: str) -> pd.DataFrame:
        """The stored table. Raises UserError where it has not been made yet, or is damaged."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not self.has(name):
            raise UserError(
                f"{self.path}: there is no table '{name}' yet.", f"Run `curate run {self.root}` first."
            )
        file = self.path / f"{name}.parquet"
        try:
            frame: pd.DataFrame = pq.read_table(file).to_pandas()
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{file}: is damaged ({str(error).splitlines()[0]}).",
                f"Move it elsewhere, then run `curate run {self.root}`, which makes it anew.",
            ) from error
        return frame

    def digest(self, name: str) -> str:
        """Digest of the stored table's rows; empty where there is none."""
        origin = self.origin(name)
        return origin.digest if origin else ""


def _digest(rows: Any) -> str:
    """SHA-256 over the rows in Arrow's stream format: the same rows, the same digest."""
    import pyarrow as pa

    class Sink:
        def __init__(self) -> None:
            self.sha = hashlib.sha256()
            self.closed = False

        def write(self, data: Any) -> int:
            self.sha.update(data)
            return len(data)

        def flush(self) -> None: ...

        def close(self) -> None:
            self.closed = True

    sink = Sink()
    file = pa.PythonFile(sink, mode="w")
    with pa.ipc.new_stream(file, rows.schema) as stream:
        for batch in rows.to_batches(max_chunksize=65536):
            stream.write_batch(batch)
    return sink.sha.hexdigest()


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, where the system can (not on Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
