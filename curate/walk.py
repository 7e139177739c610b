"""List the picture files below a folder, and tell whether they are still those that were scanned."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from curate import images
from curate.errors import UserError
from curate.paths import path_to_text

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass
class Walk:
    """What lies below a folder.

    `files`: (path as text, size in bytes, time of change in nanoseconds) of each file to be read, sorted by path;
    `left_out`: how many entries of each kind were left out; `suffixes`: the endings of the files of kind `other`.
    """

    files: list[tuple[str, int, int]] = dataclasses.field(default_factory=list)
    left_out: Counter[str] = dataclasses.field(default_factory=Counter)
    suffixes: Counter[str] = dataclasses.field(default_factory=Counter)

    def left_out_in_words(self) -> str:
        """What was left out; empty for nothing."""
        words = []
        for kind, names in _KINDS.items():
            if count := self.left_out[kind]:
                ends = ""
                if kind == "other":
                    common = sorted(self.suffixes.items(), key=lambda item: (-item[1], item[0]))[:3]
                    ends = f" ({', '.join(f'{number:,} {suffix}' for suffix, number in common)})"
                words.append(f"{count:,} {names[count > 1]}{ends}")
        return ", ".join(words)


_KINDS = {
    "hidden": ("hidden file or folder", "hidden files or folders"),
    "other": ("other file", "other files"),
    "system": ("file or folder of the system", "files or folders of the system"),
    "linked": ("linked folder", "linked folders"),
    "special": ("pipe, socket or device", "pipes, sockets or devices"),
    "workspace": ("workspace", "workspaces"),
    "closed": ("folder that may not be read", "folders that may not be read"),
}
"""What is left out, and its words for one and for several."""

_SYSTEM = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "$recycle.bin"}
    | {"system volume information", "@eadir"}
)
"""Names, lower case, that operating systems and storage boxes leave in folders."""


def walk(root: str) -> Walk:
    """List the files below `root` that are to be read.

    Hidden entries, the systems' own, special files, workspaces and links to folders are left out; links to files are
    followed. A file whose name promises no picture is looked at: it is taken if its first bytes are a picture's.
    Raises UserError where `root` itself may not be read.
    """
    found = Walk()
    folders = [""]
    while folders:
        below = folders.pop()
        try:
            with os.scandir(f"{root}/{below}") as entries:
                for entry in entries:
                    _sort_in(entry, below, found, folders)
        except OSError as error:
            if not below:
                raise UserError(
                    f"{root}: cannot be read ({error.strerror}).", "Give a folder that you may read."
                ) from error
            found.left_out["closed"] += 1
    found.files.sort()
    return found


def _sort_in(entry: os.DirEntry[str], below: str, found: Walk, folders: list[str]) -> None:
    """Put one entry of the folder `below` where it belongs."""
    path = f"{below}/{entry.name}" if below else entry.name
    if entry.name.startswith("."):
        found.left_out["hidden"] += 1
    elif entry.name.lower() in _SYSTEM:
        found.left_out["system"] += 1
    elif entry.is_dir(follow_symlinks=False):
        if entry.name.endswith(".curate") and Path(entry.path, "workspace.json").is_file():
            found.left_out["workspace"] += 1
        else:
            folders.append(path)
    else:
        try:
            about = entry.stat()
            kind, size, mtime_ns = stat.S_IFMT(about.st_mode), about.st_size, about.st_mtime_ns
        except OSError:  # a link to nowhere, or gone since: reading it will tell
            kind, size, mtime_ns = stat.S_IFREG, 0, 0
        if kind == stat.S_IFDIR:
            found.left_out["linked"] += 1
        elif kind != stat.S_IFREG:
            found.left_out["special"] += 1
        elif _promises_picture(entry.name) or _begins_as_picture(entry.path):
            found.files.append((path_to_text(path), size, mtime_ns))
        else:
            found.left_out["other"] += 1
            found.suffixes[path_to_text(suffix(entry.name))] += 1


def suffix(path: str) -> str:
    """The ending of a file's name with its dot, lower case; empty where there is none."""
    stem, dot, end = path.rpartition("/")[2].rpartition(".")
    return f"{dot}{end.lower()}" if stem and end else ""


def _promises_picture(name: str) -> bool:
    """Whether a file of that name is expected to be a picture: a picture's ending, or none."""
    ending = suffix(name)
    return not ending or ending in images.SUFFIXES


def _begins_as_picture(path: str) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return False
    try:
        return images.has_signature(os.read(handle, images.SIGNATURE_BYTES))
    except OSError:
        return False
    finally:
        os.close(handle)


@dataclasses.dataclass(frozen=True)
class Changes:
    """What is otherwise in a folder than in a table of its files: paths that are new, gone, or of other size or time."""

    new: list[str]
    gone: list[str]
    changed: list[str]

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.changed)

    def __str__(self) -> str:
        """For people."""
        named = (("new", self.new), ("gone", self.gone), ("changed", self.changed))
        return ", ".join(f"{len(paths):,} {word}" for word, paths in named if paths)


def changes(root: str, files: pd.DataFrame) -> Changes:
    """How the folder differs from a table with path, size and mtime_ns; contents are not read.

    Raises UserError where `root` may not be read.
    """
    known = {
        path: (size, mtime)
        for path, size, mtime in files[["path", "size", "mtime_ns"]].itertuples(index=False)
    }
    found = {path: (size, mtime) for path, size, mtime in walk(root).files}
    return Changes(
        new=[path for path in found if path not in known],
        gone=sorted(path for path in known if path not in found),
        changed=[path for path, about in found.items() if known.get(path, about) != about],
    )
