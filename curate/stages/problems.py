"""What is wrong with a folder, each problem a sentence with its number and the command that deals with it.

A check (`curate.stages.checks`) is a function of `Facts` that yields the problems it sees: a name, a severity, the files
concerned, the number, a sentence. To add one, write it and put it into `CHECKS`; `COMMANDS` says which command deals with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd

from curate.stages.checks import classes, pictures
from curate.stages.checks import files as of_files
from curate.stages.checks.facts import Facts, Problem
from curate.tables import PROBLEMS

EXAMPLES = 12
"""Paths given as examples of a problem, at most."""

COMMANDS = {
    "imbalance": "curate balance DIR",
    "unreadable": "curate apply DIR",
    "exact_duplicates": "curate apply DIR",
    "near_duplicates": "curate apply DIR",
    "label_conflicts": "curate dedup DIR --conflicts majority",
    "settled_conflicts": "curate apply DIR",
    "photographs": "curate apply DIR",
    "odd_aspect_ratios": "curate apply DIR --copy OUT --size 224 --fit pad",
    "transparency": "curate apply DIR --copy OUT --size 224",
    "mixed_formats": "curate apply DIR --copy OUT --size 224",
    "class_sizes": "curate apply DIR --copy OUT --size 224 --fit pad",
}
"""The command that deals with each problem; with the others only a person can deal. `DIR` is the folder."""

_SEVERITIES = ("high", "medium", "low")


def problems(
    files: pd.DataFrame,
    duplicates: pd.DataFrame | None = None,
    photos: pd.DataFrame | None = None,
    plan: pd.DataFrame | None = None,
    splits: pd.DataFrame | None = None,
    balance: pd.DataFrame | None = None,
    *,
    ratio: float = 3.0,
    few: int = 20,
    small: int = 32,
) -> pd.DataFrame:
    """The problems of a folder: a frame with the columns of `curate.tables.PROBLEMS`, the gravest first.

    The tables are those of `curate.tables`; without one, the checks that need it are left out. The
    commands say DIR for the folder. `ratio`, `few` and `small` are the fields of `curate.stages.eda.EdaSettings`.
    """
    facts = Facts(files, duplicates, photos, plan, splits, ratio, few, small)
    if files.empty:
        found = [Problem("empty_folder", "high", 0, 0, "There is no picture in this folder.")]
    else:
        found = [problem for check in CHECKS for problem in check(facts)]
    found.sort(key=lambda problem: (_SEVERITIES.index(problem.severity), -problem.count, problem.problem))
    rows = [
        {
            "problem": problem.problem,
            "severity": problem.severity,
            "count": problem.count,
            "value": problem.value,
            "sentence": problem.sentence,
            "command": COMMANDS.get(problem.problem, ""),
            # A line feed within a path is written as `path_from_text` takes it back.
            "examples": "\n".join(path.replace("\n", "\\x0a") for path in problem.examples[:EXAMPLES]),
        }
        for problem in found
    ]
    frame = pd.DataFrame(rows, columns=list(PROBLEMS.columns))
    return frame.astype({"count": "int64", "value": "float32"})


CHECKS: tuple[Callable[[Facts], Iterator[Problem]], ...] = (
    classes.check_classes,
    classes.check_balance,
    classes.check_folders,
    classes.check_labels,
    of_files.check_unreadable,
    of_files.check_duplicates,
    of_files.check_photos,
    of_files.check_animated,
    of_files.check_encodings,
    pictures.check_blank,
    pictures.check_outliers,
    pictures.check_sizes,
    classes.check_splits,
    classes.check_emptied,
)
"""Every check, in no order that matters."""
