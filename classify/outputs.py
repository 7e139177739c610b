"""A folder of results: seen to before the work begins, and written all or nothing."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.errors import UserError
from curate.workspace import sync_folder

DrawGroups = Callable[[str, Sequence[str], Sequence[Mapping[str, Any]]], str]
"""From a title, sentences and groups of pictures to the HTML of a page.

A group has a `title`, `pictures` (each `picture` uint8 (S, S, 3) or None, perhaps `saliency` the same, `tag`, `text`, `path`)
and `more`, the number of those not shown.
"""


@contextlib.contextmanager
def output_folder(place: Path, root: Path) -> Iterator[None]:
    """Make the folder `place` and see that it can be written before the work begins; gone again if the work fails."""
    inside, around = place.resolve(), root.resolve()
    if inside == around or around in inside.parents:
        raise UserError(
            f"{place}: the results would lie inside the test folder.",
            "Give a place outside of it with --out.",
        )
    made = [parent for parent in (place, *place.parents) if not parent.exists()]
    try:
        try:
            place.mkdir(parents=True, exist_ok=True)
            probe = place / f".probe.{os.getpid()}.tmp"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"{place}: the results cannot be written there ({error.strerror or error}).",
                "Give another place with --out.",
            ) from error
        yield
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def write_all(place: Path, files: Mapping[str, bytes]) -> None:
    """Write all files beside their names first and rename them then, so that a full disk leaves what was there.

    Raises UserError where they cannot be written.
    """
    temporary = {name: place / f".{name}.{os.getpid()}.tmp" for name in files}
    try:
        for name, data in files.items():
            with temporary[name].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for name in files:
            temporary[name].replace(place / name)
        sync_folder(place)
    except BaseException as error:
        for path in temporary.values():
            with contextlib.suppress(OSError):
                path.unlink()
        if not isinstance(error, OSError):
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise UserError(
            f"{place}: the results cannot be written ({error.strerror or error}).",
            "Make room, then run the same command again." if full else "Give another place with --out.",
        ) from error
