"""The stages as functions: a folder in, a DataFrame out.

Each function first runs what it needs and what is stale, just as the commands do, and changes nothing in the folder;
only `apply` and `undo` do. Keyword settings are the fields of the stage's settings class (see its documentation);
where none is given for a stage, they are those of its last run in this workspace, or the defaults; where one is, the others have
their defaults.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import UserError
from curate.pipeline import QUIET, STAGES, Reporter, bring_up_to_date, session

if TYPE_CHECKING:
    import pandas as pd

    from curate.journal import ApplyResult, UndoResult

Place = str | Path


def _settings(stages: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings objects of the stages that keywords concern. Raises UserError for an unknown keyword."""
    chosen: dict[str, Any] = {}
    unknown = dict(given)
    known: set[str] = set()
    for stage in stages:
        default = STAGES[stage].default_settings()
        names = {field.name for field in dataclasses.fields(default)}
        known |= names
        mine = {name: unknown.pop(name) for name in names & set(unknown)}
        if mine:
            chosen[stage] = dataclasses.replace(default, **mine)
    for name in unknown:
        raise UserError(
            f"{stages[-1]}: there is no setting '{name}'.", f"Known: {', '.join(sorted(known)) or 'none'}."
        )
    return chosen


def table(
    stage: str,
    result: str,
    folder: Place,
    workspace: Place | None = None,
    workers: int | None = None,
    reporter: Reporter = QUIET,
    settings: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Bring `stage` up to date for `folder`, with settings by stage, and return its table `result`."""
    with session(folder, workspace) as place:
        bring_up_to_date(place, [stage], settings, workers=workers, reporter=reporter)
        return place.read(result)


def scan(folder: Place, *, workspace: Place | None = None, workers: int | None = None) -> pd.DataFrame:
    """Every picture file below `folder`, read once and measured: the table `files`, one row a file."""
    return table("scan", "files", folder, workspace, workers)


def dedup(
    folder: Place,
    *,
    against: Place | None = None,
    workspace: Place | None = None,
    workers: int | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Files that show the same picture: the table `duplicates`, one row for each file of a group.

    With `against`, another folder, the table `leaks` instead: the files of `folder` whose picture it holds too. Other
    keywords: `search` ("full", "fast", "pixel"), `threshold`, `conflicts`, `scope`, `prefer`, `protect`, see
    `curate.duplicates.dedup.DedupSettings`.
    """
    chosen = _settings(("compare", "dedup"), settings)
    result = "duplicates"
    if against is not None:
        chosen |= _settings(("against",), {"folder": str(Path(against).resolve())})
        result = "leaks"
    return table("dedup", result, folder, workspace, workers, settings=chosen)


def filter_photos(
    folder: Place, *, workspace: Place | None = None, workers: int | None = None, **settings: Any
) -> pd.DataFrame:
    """Photographs among illustrations, found without labels: the table `photos`, one row a readable file.

    Keywords: `backend` ("embedded", "cluster", "clip"), `encoder`, `find` ("photos", "illustrations"), `examples`,
    `min_confidence`, `max_removed`, see `curate.photos.PhotoSettings`.
    """
    from curate.photos.settings import state_of

    if examples := settings.get("examples"):
        place = str(Path(examples).resolve())
        settings |= {"examples": place, "examples_state": state_of(place)}
    return table(
        "filter-photos",
        "photos",
        folder,
        workspace,
        workers,
        settings=_settings(("filter-photos",), settings),
    )


def split(
    folder: Place, *, workspace: Place | None = None, workers: int | None = None, **settings: Any
) -> pd.DataFrame:
    """Train, validation and test parts that no picture straddles: the table `splits`, one row a file."""
    return table("split", "splits", folder, workspace, workers, settings=_settings(("split",), settings))


def balance(
    folder: Place, *, workspace: Place | None = None, workers: int | None = None, **settings: Any
) -> pd.DataFrame:
    """Weights and copies that even out the classes of the training part: the table `balance`, one row a file of it."""
    return table("balance", "balance", folder, workspace, workers, settings=_settings(("balance",), settings))


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
