"""A clean tree of what the plan keeps, copied or linked to another place. The user's folder is only read.

The tree is made under a temporary name beside its place and renamed when it is whole, so a killed run leaves nothing
that looks finished.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import moving
from curate.engine import Progress, map_chunks
from curate.errors import Refused, UserError
from curate.images import Unreadable, open_image, read_bytes, to_rgb
from curate.images import fit as fit_image
from curate.paths import path_from_text

if TYPE_CHECKING:
    import pandas as pd

FITS = ("pad", "crop", "stretch")


def check_options(copy_to: object, link_to: object, size: int | None, fit: str) -> None:
    """Raise UserError for options of `apply` that do not go together."""
    if copy_to is not None and link_to is not None:
        raise UserError("--copy and --link exclude each other.", "Give one of them.")
    if size is not None and copy_to is None:
        raise UserError("--size changes pictures, so it needs copies.", "Give --copy OUT with it.")
    if size is not None and size < 1:
        raise UserError(f"--size {size} is no number of pixels.", "Give 1 or more, for example --size 128.")
    if fit not in FITS:
        raise UserError(f"--fit {fit} is not known.", f"Give one of {', '.join(FITS)}.")


def build(
    root: Path,
    kept: pd.DataFrame,
    out: Path,
    how: str,
    *,
    size: int | None,
    fit: str,
    dry_run: bool,
    workers: int | None,
    progress: Progress,
) -> Path:
    """Make the tree `out` of the plan's rows `kept`: `out/LABEL/...`, each file at its path below the root.

    A file that a person gave another class lies below that one's folder instead of its own (see `_in_class`).

    `how` is `copy` (bytes, times and permissions) or `link`: a hard link, which costs no space and survives a move of
    the folder, or a symbolic link where the file systems differ or have no hard links. With `size` (pixels) a copy is
    brought to `size` x `size` RGB by `fit` (see `curate.images.fit`) and written as PNG, which loses nothing; its
    name ends in .png.

    Returns the absolute path of `out`. Raises UserError where `out` is not free, cannot be written, or the disk is
    full; Refused where a picture changed since it was scanned. Then nothing is left behind.
    """
    out = Path(os.path.realpath(out))
    try:
        _check_place(root, out)
    except OSError as error:
        raise _explain(error, out) from error
    rows: Iterable[Any] = kept.itertuples(index=False)
    for row in rows:
        reason = moving.why_changed(moving.place(root, row.path), row.size, row.mtime_ns)
        if reason:
            raise Refused(
                f"{root}: {row.path} {reason}. Nothing was written.",
                f"Run `curate run {root}` for a new plan.",
            )
    if dry_run:
        return out
    part = out.with_name(f".{out.name}.curate-part")
    names = list(kept["path"])
    targets = _in_class(names, list(kept["label"]))
    targets = _png_names(targets) if size else targets
    jobs = [
        (path_from_text(name), path_from_text(target)) for name, target in zip(names, targets, strict=True)
    ]
    write = functools.partial(_write, root=str(root), part=str(part), how=how, size=size, fit=fit)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(part):
            shutil.rmtree(part)  # what a killed run left
        part.mkdir()
        for _ in map_chunks(write, jobs, workers=1 if how == "link" else workers, progress=progress):
            pass
        if hasattr(os, "sync"):
            os.sync()
        if out.exists():
            out.rmdir()
        part.rename(out)
    except OSError as error:
        raise _explain(error, out) from error
    finally:
        if os.path.lexists(part):
            shutil.rmtree(part, ignore_errors=True)
    return out


def _check_place(root: Path, out: Path) -> None:
    """Raise UserError unless `out` is new, or an empty folder, and not inside the user's folder."""
    real = Path(os.path.realpath(root))
    if out == real or real in out.parents:
        raise UserError(f"{out}: lies inside the folder {root}.", "Give a place outside of it.")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file.", "Give a folder that does not exist yet.")
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out}: is not empty.", "Give a folder that is empty or does not exist yet.")


def _explain(error: OSError, out: Path) -> UserError:
    """The error that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return UserError(
            f"{out}: cannot be written: the disk is full. What was written is removed again.",
            "Make room, or give another place; --link needs next to none.",
        )
    name = os.fsdecode(error.filename) if error.filename else str(out)
    return UserError(
        f"{out}: cannot be written: {name}: {error.strerror or error}. What was written is removed again.",
        "Give a place that you may write to.",
    )


def _in_class(paths: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Each path, its first folder replaced by the label where they differ; `~` is added to a name that is taken."""
    used = {path.casefold() for path in paths}
    found = []
    for path, label in zip(paths, labels, strict=True):
        folder, _, rest = path.partition("/") if "/" in path else ("", "", path)
        target = path if label in ("", folder) else f"{label}/{rest}"
        while target != path and target.casefold() in used:
            stem, ending = os.path.splitext(target)
            target = f"{stem}~{ending}"
        used.add(target.casefold())
        found.append(target)
    return found


def _png_names(names: Sequence[str]) -> list[str]:
    """`a/b.jpg` becomes `a/b.png`; where two would meet, also on a system that folds case, the later `a/b.jpg.png`."""
    used: set[str] = set()
    found = []
    for name in names:
        target = f"{os.path.splitext(name)[0]}.png"
        if target.casefold() in used:
            target = f"{name}.png"
        while target.casefold() in used:
            target = f"{target[:-4]}~.png"
        used.add(target.casefold())
        found.append(target)
    return found


def _write(
    jobs: Sequence[tuple[str, str]], *, root: str, part: str, how: str, size: int | None, fit: str
) -> None:
    """Write some pictures into the tree. Runs in a worker process."""
    for name, target_name in jobs:
        source, target = os.path.join(root, name), os.path.join(part, target_name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if how == "link":
            _link(source, target)
        elif size is None:
            shutil.copy2(source, target)
        else:
            try:
                image = to_rgb(open_image(read_bytes(source), at_least=size))
            except Unreadable as error:
                raise Refused(
                    f"{source}: cannot be read: {error}.", "Run `curate run` on the folder again."
                ) from error
            fit_image(image, size, fit).save(target, format="PNG")


def _link(source: str, target: str) -> None:
    """A hard link; a symbolic one where that cannot be, or where the file is a symbolic link itself."""
    if not os.path.islink(source):
        with contextlib.suppress(OSError, NotImplementedError):
            os.link(source, target)
            return
    os.symlink(os.path.realpath(source), target)
