"""The stages as functions: a folder in, a DataFrame out.

Each function first runs what it needs and what is stale, just as the commands do, and changes nothing in the folder;
only `apply` and `undo` do. Keyword settings are the fields of the stage's settings class (see its documentation);
left out, they are those of the last run in this workspace, or the defaults.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import UserError
from curate.pipeline import QUIET, STAGES, Reporter, bring_up_to_date, session

if TYPE_CHECKING:
    import pandas as pd

    from curate.journal import ApplyResult, UndoResult

Place = str | Path


def _settings(stage: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings object of a stage from keywords. Raises UserError for an unknown one."""
    if not given:
        return {}
    default = STAGES[stage].default_settings()
    known = {field.name for field in dataclasses.fields(default)}
    for name in given:
        if name not in known:
            raise UserError(
                f"{stage}: there is no setting '{name}'.", f"Known: {', '.join(sorted(known)) or 'none'}."
            )
    return {stage: dataclasses.replace(default, **given)}


def table(
    stage: str,
    result: str,
    folder: Place,
    workspace: Place | None = None,
    workers: int | None = None,
    reporter: Reporter = QUIET,
    given: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Bring `stage` up to date for `folder` and return its table `result`."""
    with session(folder, workspace) as place:
        bring_up_to_date(place, [stage], _settings(stage, given or {}), workers=workers, reporter=reporter)
        return place.read(result)


def scan(folder: Place, *, workspace: Place | None = None, workers: int | None = None) -> pd.DataFrame:
    """Every picture file below `folder`, read once and measured: the table `files`, one row a file."""
    return table("scan", "files", folder, workspace, workers)


def dedup(
    folder: Place, *, workspace: Place | None = None, workers: int | None = None, **settings: Any
) -> pd.DataFrame:
    """Files that show the same picture: the table `duplicates`, one row for each file of a group."""
    return table("dedup", "duplicates", folder, workspace, workers, given=settings)


def filter_photos(
    folder: Place, *, workspace: Place | None = None, workers: int | None = None, **settings: Any
) -> pd.DataFrame:
    """Photographs among illustrations, found without labels: the table `photos`, one row a readable file."""
    return table("filter-photos", "photos", folder, workspace, workers, given=settings)


def split(
    folder: Place, *, workspace: Place | None = None, workers: int | None = None, **settings: Any
) -> pd.DataFrame:
    """Train, validation and test parts that no picture straddles: the table `splits`, one row a file."""
    return table("split", "splits", folder, workspace, workers, given=settings)


def balance(
    folder: Place, *, workspace: Place | None = None, workers: int | None = None, **settings: Any
) -> pd.DataFrame:
    """Weights and copies that even out the classes of the training part: the table `balance`, one row a file of it."""
    return table("balance", "balance", folder, workspace, workers, given=settings)


def eda(folder: Place, *, workspace: Place | None = None, workers: int | None = None) -> pd.DataFrame:
    """What is wrong with the folder, as sentences with numbers and commands: the table `problems`."""
    return table("eda", "problems", folder, workspace, workers)


def run(folder: Place, *, workspace: Place | None = None, workers: int | None = None) -> pd.DataFrame:
    """All stages in order, only what is stale; returns the table `plan`, one row a file. Nothing is moved."""
    with session(folder, workspace) as place:
        bring_up_to_date(place, list(STAGES), workers=workers)
        return place.read("plan")


def apply(folder: Place, *, workspace: Place | None = None, **how: Any) -> ApplyResult:
    """Carry out the plan: see `curate.journal.apply` for the keywords `copy_to`, `link_to`, `size`, `fit`, `dry_run`."""
    from curate import journal

    with session(folder, workspace) as place:
        return journal.apply(place, **how)


def undo(folder: Place, *, workspace: Place | None = None) -> UndoResult:
    """Take every `apply` back: names, bytes, times and permissions as they were."""
    from curate import journal

    with session(folder, workspace) as place:
        return journal.undo(place)
