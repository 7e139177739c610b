"""What is in a folder of pictures, in numbers; the stage that names its problems.

`summary` gives the numbers, `curate.stages.problems` the sentences, `curate.stages.outliers` the pictures that stand apart. All are
functions of the tables that exist so far: without `duplicates`, `photos` or `plan` they say less.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from curate.stages.outliers import blank, outliers
from curate.stages.problems import problems

if TYPE_CHECKING:
    from curate.pipeline import Context
    from curate.workspace import Workspace

__all__ = ["VERSION", "EdaSettings", "problems", "run", "summarize", "summary"]

VERSION = 1

QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}
MEASURES = ("brightness", "contrast", "sharpness", "colorfulness", "saturation", "entropy", "flatness", "ink")
_OPTIONAL = ("duplicates", "photos", "plan", "splits", "balance")


@dataclass(frozen=True)
class EdaSettings:
    """From where a number is a problem.

    `ratio`: largest class over smallest. `few`: pictures of a class. `small`: shorter side, pixels.
    """

    ratio: float = 3.0
    few: int = 20
    small: int = 32


def run(context: Context, settings: EdaSettings) -> dict[str, pd.DataFrame]:
    """The stage: `files`, and whatever other tables there are -> `problems`."""
    tables = _tables(context.workspace)
    found = problems(
        **tables,
        ratio=settings.ratio,
        few=settings.few,
        small=settings.small,
    )
    return {"problems": found}


def summarize(workspace: Workspace) -> dict[str, Any]:
    """`summary` of a workspace's tables. Raises UserError where the folder has not been scanned."""
    return summary(**_tables(workspace))


def _tables(workspace: Workspace) -> dict[str, pd.DataFrame]:
    tables = {"files": workspace.read("files")}
    return tables | {name: workspace.read(name) for name in _OPTIONAL if workspace.has(name)}


def summary(
    files: pd.DataFrame,
    duplicates: pd.DataFrame | None = None,
    photos: pd.DataFrame | None = None,
    plan: pd.DataFrame | None = None,
    splits: pd.DataFrame | None = None,
    balance: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """The folder in numbers, fit for JSON. Each argument is the table of that name (see `curate.tables`).

    Keys: `files`, `readable`, `bytes`; `unreadable` (by reason); `classes` (list, largest first: `label`, `files`,
    `readable`, and `planned` - readable files that the plan leaves - `drawn`, pictures drawn an epoch, and
    `train`/`val`/`test` where those tables are there); `imbalance` and `effective_classes`, each `raw` and `planned`;
    `width`, `height`, `shorter_side`, `aspect_ratio` (width / height) and the measures (quantiles, see `QUANTILES`);
    `formats`, `modes` (counts); `animated`, `transparent`, `turned`, `blank`; `outliers` (by kind); and, where
    their tables are there, `duplicates`, `photos`, `plan`, `splits`.
    """
    readable = files[files["status"] == "ok"]
    classes = _classes(files, plan, splits, balance)
    raw = [row["readable"] for row in classes]
    planned = [row["planned"] for row in classes if "planned" in row]
    found = outliers(files)
    result: dict[str, Any] = {
        "files": len(files),
        "readable": len(readable),
        "bytes": int(files["size"].sum()),
        "unreadable": _counts(files.loc[files["status"] != "ok", "reason"]),
        "classes": classes,
        "imbalance": {"raw": imbalance(raw), "planned": imbalance(planned)},
        "effective_classes": {"raw": effective_classes(raw), "planned": effective_classes(planned)},
        "width": _quantiles(readable["width"]),
        "height": _quantiles(readable["height"]),
        "shorter_side": _quantiles(readable[["width", "height"]].min(axis=1)),
        "aspect_ratio": _quantiles(readable["width"] / readable["height"].clip(lower=1)),
        **{name: _quantiles(readable[name]) for name in MEASURES},
        "formats": _counts(readable["format"]),
        "modes": _counts(readable["mode"]),
        "animated": int((readable["frames"] > 1).sum()),
        "transparent": int((readable["transparency"] > 0).sum()),
        "turned": int((readable["orientation"] > 1).sum()),
        "blank": int(blank(files).sum()),
        "outliers": _counts(found["kind"]),
    }
    if duplicates is not None:
        result["duplicates"] = _duplicates(duplicates)
    if photos is not None:
        counts = photos["photo_verdict"].value_counts()
        result["photos"] = {
            verdict: int(counts.get(verdict, 0)) for verdict in ("drawing", "photo", "unsure")
        }
    if plan is not None:
        result["plan"] = _plan(plan)
    if splits is not None:
        counts = splits["split"].value_counts()
        result["splits"] = {part: int(counts.get(part, 0)) for part in ("train", "val", "test", "out")}
    return result


def imbalance(counts: list[int]) -> float:
    """Pictures of the largest class over those of the smallest that has any; 0 where there is none."""
    some = [count for count in counts if count > 0]
    return max(some) / min(some) if some else 0.0


def effective_classes(counts: list[int]) -> float:
    """exp of the entropy of the class shares (Hill's number of order 1, Ecology 54, 1973): 20 even classes give 20."""
    total = sum(counts)
    shares = [count / total for count in counts if count > 0]
    return math.exp(-sum(share * math.log(share) for share in shares)) if shares else 0.0


def _classes(
    files: pd.DataFrame, plan: pd.DataFrame | None, splits: pd.DataFrame | None, balance: pd.DataFrame | None
) -> list[dict[str, Any]]:
    readable = files[files["status"] == "ok"]
    columns = {"files": files.groupby("label").size(), "readable": readable.groupby("label").size()}
    if plan is not None:
        staying = plan[(plan["action"] != "remove") & plan["path"].isin(readable["path"])]
        columns["planned"] = staying.groupby("label").size()
    if splits is not None:
        for part in ("train", "val", "test"):
            columns[part] = splits[splits["split"] == part].groupby("label").size()
    if balance is not None:
        columns["drawn"] = balance.groupby("label")["copies"].sum()
    table = pd.DataFrame(columns).reindex(sorted(files["label"].unique())).fillna(0).astype(int)
    table = table.rename_axis("label").reset_index().sort_values(["files", "label"], ascending=[False, True])
    return [
        {str(key): str(value) if key == "label" else int(value) for key, value in row.items()}
        for row in table.to_dict("records")
    ]


def _quantiles(values: pd.Series[Any]) -> dict[str, float]:
    known = values.dropna().to_numpy(float)
    if not len(known):
        return {}
    return dict(zip(QUANTILES, np.quantile(known, list(QUANTILES.values())).tolist(), strict=True))


def _counts(values: pd.Series[Any]) -> dict[str, int]:
    """Counts by value, the most common first, equals by name."""
    counts = values.value_counts()
    return {
        str(value): int(count)
        for value, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    }


def _duplicates(duplicates: pd.DataFrame) -> dict[str, Any]:
    """Groups in all and by their loosest tier, copies by tier, groups and files under several labels."""
    order = ["exact", "pixel", "verdict", "near"]
    copies = duplicates[duplicates["path"] != duplicates["keeper"]]
    loosest = copies["tier"].map(order.index).groupby(copies["group"]).max()
    conflicts = duplicates[duplicates["conflict"]]
    return {
        "groups": int(duplicates["group"].nunique()),
        "groups_by_tier": {tier: int((loosest == rank).sum()) for rank, tier in enumerate(order)},
        "copies": len(copies),
        "copies_by_tier": {tier: int((copies["tier"] == tier).sum()) for tier in order},
        "removed": int((duplicates["action"] == "remove").sum()),
        "conflict_groups": int(conflicts["group"].nunique()),
        "conflict_files": len(conflicts),
    }


def _plan(plan: pd.DataFrame) -> dict[str, Any]:
    gone = plan[plan["action"] == "remove"]
    return {
        **{action: int((plan["action"] == action).sum()) for action in ("keep", "remove", "review")},
        "removed_by_stage": _counts(gone["stage"]),
        "removed_bytes": int(gone["size"].sum()),
    }
