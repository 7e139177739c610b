"""What is done in a workspace, what is stale, what is planned: a few lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from curate.pipeline import STAGES, staleness
from curate.walk import changes

if TYPE_CHECKING:
    import pandas as pd

    from curate.workspace import Workspace


def _files(files: pd.DataFrame) -> str:
    classes = files.label[files.label != ""].nunique()
    return f"{len(files):,} files, {classes} classes, {(files.status != 'ok').sum():,} unreadable"


def _duplicates(duplicates: pd.DataFrame) -> str:
    conflicts = duplicates.group[duplicates.conflict].nunique()
    removable = (duplicates.action == "remove").sum()
    return f"{duplicates.group.nunique():,} groups, {removable:,} copies to remove, {conflicts:,} label conflicts"


def _photos(photos: pd.DataFrame) -> str:
    counts = photos.photo_verdict.value_counts()
    removed = int((photos.action == "remove").sum())
    return (
        f"{counts.get('photo', 0):,} photographs, {counts.get('unsure', 0):,} unsure, {removed:,} to remove"
    )


def _splits(splits: pd.DataFrame) -> str:
    counts = splits.split.value_counts()
    return ", ".join(f"{counts.get(name, 0):,} {name}" for name in ("train", "val", "test", "out"))


def _balance(balance: pd.DataFrame) -> str:
    return f"{len(balance):,} training pictures, {balance['copies'].sum():,} drawn an epoch"


def _problems(problems: pd.DataFrame) -> str:
    return f"{len(problems):,} problems, {(problems.severity == 'high').sum():,} of them grave"


def _plan(plan: pd.DataFrame) -> str:
    gone = plan[plan.action == "remove"]
    return f"{len(gone):,} files to remove ({gone['size'].sum() / 1e6:,.1f} MB), {(plan.action == 'review').sum():,} to review"


def _against(against: pd.DataFrame) -> str:
    return f"{len(against):,} pictures in the other folder" if len(against) else "no other folder"


def _judged(judged: pd.DataFrame) -> str:
    return f"{len(judged):,} pairs looked at"


def _similar(similar: pd.DataFrame) -> str:
    return f"{len(similar):,} pairs that look alike"


_WORDS: dict[str, Callable[[pd.DataFrame], str]] = {
    "files": _files,
    "against": _against,
    "judged": _judged,
    "duplicates": _duplicates,
    "photos": _photos,
    "similar": _similar,
    "splits": _splits,
    "balance": _balance,
    "problems": _problems,
    "plan": _plan,
}


def status(workspace: Workspace) -> list[tuple[str, str, str]]:
    """One (stage, state, what it found) for each stage; the state is done, stale or not run.

    The scan is stale where files came, went or changed in size or time since; contents are not read. Raises UserError
    where the folder may not be read.
    """
    rows = []
    for name, state in staleness(workspace).items():
        table = STAGES[name].outputs[-1]
        found = _WORDS[table](workspace.read(table)) if workspace.has(table) else ""
        if name == "scan" and found:
            since = changes(os.fspath(workspace.root), workspace.read(table))
            if since:
                state, found = "stale", f"{found}; since then {since}"
        rows.append((name, state, found))
    return rows
