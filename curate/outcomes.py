"""What `apply`, `undo` and `state` found and did, as data and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_NAMED = 5
"""Files that an error message names; the rest are counted."""


@dataclass(frozen=True)
class Skipped:
    """A file that was left alone, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class ApplyResult:
    """What `apply` did, or with `dry_run` would do.

    `how` is quarantine, copy or link; `place` the quarantine or OUT; `files` and `bytes` count what was moved there,
    or the pictures of the clean tree; `already` what an earlier apply had moved.
    """

    how: str
    place: str
    files: int
    bytes: int
    already: int = 0
    skipped: tuple[Skipped, ...] = ()
    dry_run: bool = False

    @property
    def sentence(self) -> str:
        """The result in words."""
        verb = {"quarantine": "moved to", "copy": "copied to", "link": "linked in"}[self.how]
        would = "would be " if self.dry_run else ""
        parts = [f"{count_files(self.files)} ({self.bytes / 1e6:,.1f} MB) {would}{verb} {self.place}"]
        if self.already:
            parts.append(f"{self.already:,} had been moved before")
        if self.skipped:
            parts.append(f"{self.skipped_in_words()}")
        return "; ".join(parts) + "."

    def skipped_in_words(self) -> str:
        """The files left alone, the first few by name."""
        return (
            f"{len(self.skipped):,} left alone: {name_some([f'{s.path} {s.reason}' for s in self.skipped])}"
        )


@dataclass(frozen=True)
class UndoResult:
    """What `undo` did: files put back and their bytes; `missing` are files that somebody took out of the quarantine."""

    files: int
    bytes: int
    missing: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def sentence(self) -> str:
        """The result in words."""
        if not self.files and not self.missing:
            return "Nothing is in quarantine: there is nothing to undo."
        text = f"{count_files(self.files)} ({self.bytes / 1e6:,.1f} MB) {'would be ' if self.dry_run else ''}put back"
        if self.missing:
            text += f"; {len(self.missing):,} no longer in the quarantine: {name_some(self.missing)}"
            return f"{text}. Where that is on a disk that was not at hand, undo again once it is."
        return text + "."


@dataclass(frozen=True)
class State:
    """What is in quarantine now, in files and bytes; `unfinished` moves were begun by a run that was killed."""

    files: int
    bytes: int
    unfinished: int

    @property
    def sentence(self) -> str:
        """The state in words."""
        if self.unfinished:
            return "An apply or undo was interrupted. Run it again to finish it; nothing is lost."
        if not self.files:
            return "Nothing is in quarantine."
        return f"{count_files(self.files)} ({self.bytes / 1e6:,.1f} MB) in quarantine; `curate undo` puts them back."


def count_files(count: int) -> str:
    """A number of files in words."""
    return f"{count:,} file{'' if count == 1 else 's'}"


def name_some(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
