"""From the stages' decisions to one plan: what would happen to each file, and why, before anything happens.

The plan is a table that anyone can read. Nothing here touches a file; `curate.journal` carries the plan out.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pandas as pd

from curate.images import REASONS
from curate.pipeline import Context
from curate.tables import PLAN
from curate.verdicts import labels_said, read_verdicts, relabelled

VERSION = 1

_NO_CLASS = "a person said that it belongs to no class"

Row = dict[Hashable, Any]

_FROM_FILES = ("path", "content", "size", "mtime_ns", "label")

UNJUDGED = frozenset({"permission", "vanished", "io_error", "too_large"})
"""Reasons for which a file could not be read that say nothing against its picture: a person should look."""


@dataclass(frozen=True)
class PlanSettings:
    """The plan has no settings: every choice was made by the stages before it."""


def run(context: Context, settings: PlanSettings) -> dict[str, pd.DataFrame]:
    """The stage: files, duplicates, photos, leaks, verdicts -> plan."""
    files, duplicates, photos, leaks = (
        context.read(name) for name in ("files", "duplicates", "photos", "leaks")
    )
    said = labels_said(read_verdicts(context.workspace))
    return {"plan": plan_files(files, duplicates, photos, leaks, said)}


def plan_files(
    files: pd.DataFrame,
    duplicates: pd.DataFrame,
    photos: pd.DataFrame,
    leaks: pd.DataFrame | None = None,
    said: Mapping[str, str] = MappingProxyType({}),
) -> pd.DataFrame:
    """One row a file of `files`, with the columns of `curate.tables.PLAN`, sorted by path.

    `said` is the class that people gave contents ("": none), see `curate.verdicts.labels_said`. The first that holds
    decides:

    1. Unreadable: remove; where that says nothing against the picture (`UNJUDGED`): review.
    2. A picture that the folder given with `--against` holds too: remove.
    3. What a person said belongs to no class: remove.
    4. A duplicate of a file that stays, or one of a group that was dropped as a whole: remove.
    5. A photograph: remove.
    6. A duplicate whose keeper goes (as a photograph, say) and which does not go itself: review, so it stays. It was
       compared with the keeper alone, so nothing says that another file of the group stands for it.
    7. What dedup or the photo filter wants a person to see: review.
    8. Anything else: keep; where a person gave it another class than its folder's, that is the reason.
    """
    folders = dict(zip(files["path"], files["label"], strict=True))
    listed: list[Row] = relabelled(files, said)[[*_FROM_FILES, "status", "reason"]].to_dict("records")
    copies = _by_path(duplicates[["path", "keeper", "action", "reason", "score"]])
    photo = _by_path(photos[["path", "action", "reason", "photo_score"]])
    leaking = _by_path(leaks[["path", "reason", "score"]]) if leaks is not None else {}
    dropped = {path for path, row in copies.items() if path == row["keeper"] and row["action"] == "remove"}
    staying = {
        row["path"]
        for row in listed
        if row["status"] == "ok"
        and row["path"] not in leaking
        and said.get(row["content"]) != ""
        and copies.get(row["path"], {}).get("action") != "remove"
        and photo.get(row["path"], {}).get("action") != "remove"
    }
    rows = []
    for row in listed:
        leak, copy = leaking.get(row["path"]), copies.get(row["path"])
        if row["status"] == "ok" and leak is not None:
            action, stage, reason, score, other = "remove", "against", leak["reason"], leak["score"], ""
        elif row["status"] == "ok" and said.get(row["content"]) == "":
            action, stage, reason, score, other = "remove", "verdict", _NO_CLASS, 1.0, ""
        elif row["status"] == "ok" and copy is not None and copy["keeper"] in dropped:
            action, stage, reason, score, other = "remove", "dedup", copy["reason"], copy["score"], ""
        else:
            action, stage, reason, score, other = _decide(row, copy, photo.get(row["path"]), staying)
        if action == "keep" and row["label"] != folders[row["path"]]:
            stage, reason, score = "verdict", f"a person said that it belongs to '{row['label']}'", 1.0
        rows.append(
            {name: row[name] for name in _FROM_FILES}
            | {"action": action, "stage": stage, "reason": reason, "score": score, "other": other}
        )
    frame = pd.DataFrame(rows, columns=list(PLAN.columns)).astype(
        {"score": "float32", "size": "int64", "mtime_ns": "int64"}
    )
    return frame.sort_values("path", kind="stable").reset_index(drop=True)


def _by_path(frame: pd.DataFrame) -> dict[str, Row]:
    """The rows of a table by their path."""
    return {row["path"]: row for row in frame.to_dict("records")}


def _decide(
    file: Row, copy: Row | None, photo: Row | None, staying: set[str]
) -> tuple[str, str, str, float, str]:
    """Action, stage, reason, score and other file of one file: the rules of `plan_files` in their order."""
    if file["status"] != "ok":
        action = "review" if file["reason"] in UNJUDGED else "remove"
        return action, "scan", describe_unreadable(file["reason"]), 1.0, ""
    duplicate = copy is not None and copy["action"] == "remove"
    if copy is not None and duplicate and copy["keeper"] in staying:
        return "remove", "dedup", copy["reason"], copy["score"], copy["keeper"]
    if photo is not None and photo["action"] == "remove":
        return "remove", "filter-photos", photo["reason"], photo["photo_score"], ""
    if copy is not None and duplicate:
        reason = f"a copy of {copy['keeper']}, which is not kept; nothing was found against this file itself, so it stays"
        return "review", "dedup", reason, copy["score"], ""
    if copy is not None and copy["action"] == "review":
        return "review", "dedup", copy["reason"], copy["score"], ""
    if photo is not None and photo["action"] == "review":
        return "review", "filter-photos", photo["reason"], photo["photo_score"], ""
    return "keep", "", "", 0.0, ""


def describe_unreadable(code: str) -> str:
    """A reason code of `curate.images.REASONS` in words."""
    return f"unreadable: {REASONS.get(code, code)}"


def summary(plan: pd.DataFrame) -> dict[str, Any]:
    """What the plan would do, in numbers of files and bytes.

    Returns `{"files", "bytes"}` of the whole, and the same pair under `actions` (keep, remove, review), under
    `removed` and `review` (by the stage that decided) and under `labels` (each label, by action). Only what occurs
    is listed, but for the three actions, which always are.
    """

    def tally(rows: pd.DataFrame) -> dict[str, int]:
        return {"files": len(rows), "bytes": int(rows["size"].sum())}

    def by_stage(action: str) -> dict[str, dict[str, int]]:
        rows = plan[plan["action"] == action]
        return {str(stage): tally(part) for stage, part in rows.groupby("stage", sort=True)}

    return tally(plan) | {
        "actions": {action: tally(plan[plan["action"] == action]) for action in ("keep", "remove", "review")},
        "removed": by_stage("remove"),
        "review": by_stage("review"),
        "labels": {
            str(label): {str(action): tally(part) for action, part in rows.groupby("action", sort=True)}
            for label, rows in plan.groupby("label", sort=True)
        },
    }
