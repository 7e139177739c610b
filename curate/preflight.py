"""What is checked before `curate apply` moves anything: the plan is fresh, and whatever it keeps is there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import moving
from curate.errors import Refused, UserError
from curate.outcomes import name_some
from curate.walk import changes
from curate.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd


def check_fresh(workspace: Workspace) -> None:
    """Raise Refused where a table that the plan rests on was made anew since."""
    origin = workspace.origin("plan")
    for name, digest in (origin.inputs if origin else {}).items():
        if workspace.digest(name) != digest:
            raise Refused(
                f"{workspace.root}: the plan is older than the table '{name}' that it rests on. Nothing was done.",
                f"Run `curate run {workspace.root}` for a new plan.",
            )


def check_nothing_new(workspace: Workspace, plan: pd.DataFrame) -> None:
    """Raise Refused where the folder holds pictures that the plan knows nothing of."""
    new = changes(os.fspath(workspace.root), plan).new
    if new:
        count = f"{len(new):,} {'picture' if len(new) == 1 else 'pictures'}"
        raise Refused(
            f"{workspace.root}: {count} came since the plan was made ({name_some(new)}). Nothing was done.",
            f"Run `curate run {workspace.root}` for a new plan.",
        )


def check_keepers(workspace: Workspace, plan: pd.DataFrame, todo: Sequence[Any]) -> None:
    """Raise Refused unless the file kept for each duplicate is there, readable, and the bytes that were scanned."""
    groups: dict[str, list[str]] = {}
    for row in todo:
        if row.stage == "dedup" and row.other:  # without one the whole group was dropped, as the user wished
            groups.setdefault(row.other, []).append(row.path)
    kept = plan[plan["action"] != "remove"]
    contents = dict(zip(kept["path"], kept["content"], strict=True))
    problems = []
    for keeper, copies in groups.items():
        reason = _why_no_keeper(workspace.root, keeper, contents.get(keeper))
        if reason:
            problems.append(f"{keeper} {reason}, and is kept for {name_some(copies)}")
    if problems:
        raise Refused(
            f"{workspace.root}: {name_some(problems)}. Nothing was moved.",
            f"Run `curate run {workspace.root}` to look again.",
        )


def _why_no_keeper(root: Path, keeper: str, content: str | None) -> str:
    """Why a file cannot stand for its duplicates; empty where it can."""
    if content is None:
        return "is not kept by the plan"
    try:
        found = moving.hash_file(moving.place(root, keeper))
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if found == content else "changed since it was scanned"


def check_writable(workspace: Workspace, todo: Sequence[Any]) -> None:
    """Raise UserError for the first folder out of which no file can be moved."""
    effective = os.access in os.supports_effective_ids
    for folder in sorted({row.path.rpartition("/")[0] for row in todo}):
        place = moving.place(workspace.root, folder)
        if not os.access(place, os.W_OK | os.X_OK, effective_ids=effective):
            raise UserError(
                f"{place}: files cannot be moved out of this folder: you may not write to it. Nothing was moved.",
                f"Make it writable (chmod u+w), or leave it alone with `curate apply {workspace.root} --copy OUT`.",
            )
