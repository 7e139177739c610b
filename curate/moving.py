"""Moving one file from a place to another so that a kill at any instruction loses nothing. `curate.journal` uses it.

Paths are text as `os` takes it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from curate.paths import path_from_text
from curate.workspace import sync_folder

_NO_LINKS = {
    errno.EPERM,
    errno.EACCES,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.EMLINK,
    errno.ENOSYS,
    errno.EINVAL,
}
"""What file systems without hard links, or without leave to make one, answer."""


def place(folder: str | Path, path: str) -> str:
    """The absolute path of a table's `path` below `folder`."""
    return os.path.join(folder, path_from_text(path))


def move(source: str, target: str, number: int, mode: int, mtime_ns: int) -> None:
    """Move a file or a symbolic link to a name that is free.

    Within one file system the file gets its second name first and loses the first then, which, unlike a rename, never
    overwrites. To another one it is copied under a temporary name (made of `number`), flushed, compared with the source by
    SHA-256 and given `mode` and `mtime_ns` (nanoseconds), before it gets its name and the source goes. Raises
    FileExistsError where the name is taken.
    """
    try:
        _rename_to_new(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = part_name(target, number)
        try:
            _copy(source, part, mode, mtime_ns)
            _rename_to_new(part, target)
        finally:
            _remove_if_there(part)
        sync_folder(Path(os.path.dirname(target)))
        _forget(source, target)


def _rename_to_new(source: str, target: str) -> None:
    """Rename, or raise FileExistsError."""
    if os.name != "nt":  # there a rename does not overwrite
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            _forget(source, target)
            return
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
    os.rename(source, target)


def _forget(source: str, target: str) -> None:
    """Remove the old name, or where that may not be, the new one."""
    try:
        os.unlink(source)
    except OSError:
        os.unlink(target)
        raise


def _copy(source: str, part: str, mode: int, mtime_ns: int) -> None:
    """Copy a file with its times, permissions and, where allowed, owner to `part`, and see that it arrived on disk."""
    before = os.lstat(source)
    if stat.S_ISLNK(before.st_mode):
        os.symlink(os.readlink(source), part)
        os.utime(part, ns=(before.st_atime_ns, mtime_ns), follow_symlinks=False)
        return
    with open(source, "rb") as reader, open(part, "xb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())
    if hash_file(part) != hash_file(source):
        raise OSError(errno.EIO, "the copy differs from the file", source)
    with contextlib.suppress(PermissionError):
        os.chown(part, before.st_uid, before.st_gid)
    shutil.copystat(source, part)
    with contextlib.suppress(PermissionError):
        os.chmod(part, mode)
    os.utime(part, ns=(before.st_atime_ns, mtime_ns))


def part_name(target: str, number: int) -> str:
    """The temporary name of a copy on its way to `target`."""
    return os.path.join(os.path.dirname(target), f".curate-{number}.part")


def settle(old: str, new: str, number: int, state: str) -> str:
    """Find out how far a killed move came, and leave the file at one place.

    `old` is its place in the folder, `new` that in quarantine; `state` is `move` (old to new) or `restore` (back).
    Returns what is true now: `moved` (it is in quarantine), `dropped` or `restored` (it is at its old place), `gone`.
    """
    _remove_if_there(part_name(new if state == "move" else old, number))
    there, here = exists(new), exists(old)
    if there and here and _same(old, new):
        os.unlink(new)  # the old place is the safe one, whichever way the file was going
        there = False
    if there:
        return "moved"
    if here:
        return "dropped" if state == "move" else "restored"
    return "gone"


def exists(path: str) -> bool:
    """Whether there is something of that name. Raises OSError where that cannot be seen: a closed place is not an empty one."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _same(one: str, other: str) -> bool:
    """Whether two names lead to the same bytes, or are links to the same place."""
    a, b = os.lstat(one), os.lstat(other)
    if os.path.samestat(a, b):
        return True
    if stat.S_ISLNK(a.st_mode) and stat.S_ISLNK(b.st_mode):
        return os.readlink(one) == os.readlink(other)
    return stat.S_ISREG(a.st_mode) and stat.S_ISREG(b.st_mode) and hash_file(one) == hash_file(other)


def hash_file(path: str) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def why_changed(path: str, size: int, mtime_ns: int) -> str:
    """Why a file is not the one that was scanned, by its size and time; empty where it still is."""
    try:
        own = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "is gone"
    except OSError as error:
        return f"cannot be looked at ({error.strerror})"
    stats = [own]
    if stat.S_ISLNK(own.st_mode):
        with contextlib.suppress(OSError):
            stats.append(os.stat(path))
    elif not stat.S_ISREG(own.st_mode):
        return "is no longer a file"
    if any((found.st_size, found.st_mtime_ns) == (size, mtime_ns) for found in stats):
        return ""
    return "changed since it was scanned"


def mark(path: str) -> tuple[int, int, int] | None:
    """What changes when a file is written to or replaced: size, time and inode; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def entry(path: str) -> str:
    """The place of a name on disk: links among the folders above it are followed, the name itself is not."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def entries_needed(paths: Iterable[str]) -> set[str]:
    """The places (see `entry`) that must stay for `paths` to stay: their own, and those that links among them lead to."""
    needed = set()
    folders: dict[str, str] = {}
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        place = os.path.join(folders[folder], name)
        while place not in needed:
            needed.add(place)
            if not os.path.islink(place):
                break
            place = entry(os.path.join(os.path.dirname(place), os.readlink(place)))
    return needed


def folder_record(folder: str) -> dict[str, Any]:
    """A folder's time (nanoseconds), permissions, and a digest of the names in it."""
    found = os.stat(folder)
    names = b"\0".join(sorted(os.fsencode(name) for name in os.listdir(folder)))
    return {
        "mtime_ns": found.st_mtime_ns,
        "mode": stat.S_IMODE(found.st_mode),
        "names": hashlib.sha256(names).hexdigest(),
    }


def prune(top: Path) -> None:
    """Remove the folders below `top`, and itself, that hold nothing."""
    for folder, _, _ in os.walk(top, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _remove_if_there(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)
