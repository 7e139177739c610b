"""The journal's file: what was intended for each file, and what is known to have been done.

docs/journal.md describes the format. `curate.journal` decides; this module only remembers.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from curate import moving
from curate.workspace import Workspace, sync_folder

NAME = "journal.jsonl"


@dataclass
class Move:
    """One file's way into quarantine. `state` is the last thing that the journal says of it (see docs/journal.md)."""

    id: int
    path: str
    to: str
    size: int
    mtime_ns: int
    mode: int
    content: str
    state: str = "move"

    @property
    def pending(self) -> bool:
        """Begun, and not known to be finished."""
        return self.state in ("move", "restore")

    @property
    def open(self) -> bool:
        """The file may be in quarantine."""
        return self.pending or self.state == "moved"

    @property
    def lost(self) -> bool:
        """It was in quarantine, and was not found there: perhaps the disk was not at hand."""
        return self.state == "gone"


@dataclass
class Journal:
    """The journal as read, and its file to append to."""

    workspace: Workspace
    moves: dict[int, Move] = field(default_factory=dict)
    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    joined: list[list[str]] = field(default_factory=list)
    """Contents of one picture each that stayed in the folder, and were known to be one by what is in quarantine now."""
    file: io.FileIO = field(init=False, repr=False)

    @classmethod
    def read(cls, workspace: Workspace) -> Journal:
        """What is on disk. A line cut short was never flushed, so what it announces did not happen: it is skipped."""
        journal = cls(workspace)
        try:
            lines = (workspace.path / NAME).read_bytes().splitlines()
        except FileNotFoundError:
            return journal
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                journal._take(json.loads(line))
        return journal

    def _take(self, record: dict[str, Any]) -> None:
        event = record["event"]
        if event == "move":
            values = {
                name: record[name] for name in ("id", "path", "to", "size", "mtime_ns", "mode", "content")
            }
            self.moves[record["id"]] = Move(**values)
        elif event == "folder":
            # The first record since all of a folder's files were in place tells how it was.
            self.folders.setdefault(record["path"], record)
        elif event == "joined":
            self.joined.append([str(content) for content in record["contents"]])
        elif event == "undone":
            if not any(move.open or move.lost for move in self.moves.values()):
                self.joined.clear()  # all is there again, to be compared anew
            busy = {os.path.dirname(move.path) for move in self.moves.values() if move.open or move.lost}
            self.folders = {path: record for path, record in self.folders.items() if path in busy}
        elif "id" in record:
            self.moves[record["id"]].state = event

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Open the file for appending."""
        path = self.workspace.path / NAME
        new = not path.exists()
        with path.open("ab+", buffering=0) as self.file:
            if new:
                sync_folder(path.parent)
            elif self.file.seek(0, os.SEEK_END):
                self.file.seek(-1, os.SEEK_END)
                if self.file.read(1) != b"\n":
                    self.file.write(b"\n")  # after a line that a killed run cut short
            yield

    def write(self, records: Sequence[dict[str, Any]]) -> None:
        """Append records, flush them to disk, and take them in."""
        data = b"".join(json.dumps(record, sort_keys=True).encode() + b"\n" for record in records)
        while data:
            data = data[self.file.write(data) :]
        os.fsync(self.file.fileno())
        for record in records:
            self._take(record)

    def settle(self) -> None:
        """Find out how far a killed run came with each file that it had begun, and write it down."""
        for move in [move for move in self.moves.values() if move.pending]:
            old, new = self.places(move)
            self.write([{"event": moving.settle(old, new, move.id, move.state), "id": move.id}])

    def there(self) -> list[Move]:
        """Moves whose file is in quarantine now, the last one first, those that were missed before too.

        Raises OSError where it cannot be seen.
        """
        found: dict[str, Move] = {}
        for move in sorted(self.moves.values(), key=lambda move: (move.open, move.id), reverse=True):
            # The place of a file that was missed may have been given to another since.
            if (move.open or move.lost) and move.to not in found and moving.exists(self.places(move)[1]):
                found[move.to] = move
        return sorted(found.values(), key=lambda move: -move.id)

    def next_id(self) -> int:
        """A number that no move has."""
        return max(self.moves, default=-1) + 1

    def places(self, move: Move) -> tuple[str, str]:
        """The file's old place and its place in quarantine."""
        return (
            moving.place(self.workspace.root, move.path),
            moving.place(self.workspace.path, move.to),
        )
