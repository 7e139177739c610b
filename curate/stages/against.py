"""Measure the files of another folder, of which nothing may stand in this one too: the table `against`.

The other folder is, as a rule, the test set that a classifier will be judged on. Nothing of it is ever changed or
removed, and it needs no workspace of its own.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate.engine import map_chunks
from curate.errors import UserError
from curate.stages.scan import PASSING, read_rows
from curate.tables import AGAINST
from curate.walk import walk

if TYPE_CHECKING:
    import pandas as pd

    from curate.pipeline import Context

VERSION = 1


@dataclass(frozen=True)
class AgainstSettings:
    """`folder` is the other folder's absolute path; empty: there is none."""

    folder: str = ""


def run(context: Context, settings: AgainstSettings) -> dict[str, pd.DataFrame]:
    """The table `against`; empty where no folder is asked for. What is known and unchanged is not read again.

    Raises UserError where the folder is not there, holds no picture, or is this folder, inside it or around it.
    """
    import pandas as pd

    if not settings.folder:
        return {"against": AGAINST.empty()}
    root = _checked(settings.folder, context.workspace.root)
    found = pd.DataFrame(walk(root).files, columns=["path", "size", "mtime_ns"])
    if found.empty:
        raise UserError(f"{root}: holds no pictures to compare with.", "Give --against a folder of pictures.")
    known = AGAINST.empty()
    origin = context.workspace.origin("against")
    if origin is not None and origin.version == VERSION and origin.settings.get("folder") == root:
        stored = context.read("against")
        known = stored[~stored["reason"].isin(PASSING)].merge(found, on=["path", "size", "mtime_ns"])
    missing = found[~found["path"].isin(known["path"])]
    rows = []
    work = list(missing.itertuples(index=False, name=None))
    for part in map_chunks(
        functools.partial(read_rows, root), work, workers=context.workers, progress=context.progress
    ):
        rows += part
    fresh = pd.DataFrame(rows, columns=list(AGAINST.columns))
    together = pd.concat([frame for frame in (known, fresh) if len(frame)], ignore_index=True)
    bad = int((together["status"] != "ok").sum())
    context.say(f"{len(together):,} pictures in {root}{f', {bad:,} of them unreadable' if bad else ''}.")
    return {"against": together.sort_values("path", ignore_index=True)}


def _checked(folder: str, own: Path) -> str:
    other = Path(folder).resolve()
    if not other.is_dir():
        raise UserError(
            f"{folder}: there is no such folder to compare with.", "Give --against a folder of pictures."
        )
    mine = own.resolve()
    if other == mine or other in mine.parents or mine in other.parents:
        raise UserError(
            f"{folder}: cannot be compared with {own}: the one is the other, or lies inside it.",
            "Give --against a folder that shares no file with the first one.",
        )
    return os.fspath(other)
