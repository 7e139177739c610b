"""What the commands show, as titles, columns and rows: no terminal here, so that it can be tested as data."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

Rows = list[tuple[object, ...]]
Table = tuple[str, list[str], Rows]

FEW_TO_ESTIMATE = 10
"""Pairs or copies below which an estimate from them says nothing."""

_MEASURES = ("shorter_side", "aspect_ratio", "brightness", "contrast", "sharpness", "colorfulness")
_STYLES = {"high": "red", "medium": "yellow", "low": "dim"}


def summary_tables(summary: Mapping[str, Any]) -> list[Table]:
    """The EDA in tables, from what `curate.stages.eda.summary` gives: classes, measures, formats."""
    parts = [
        name
        for name in ("planned", "train", "val", "test", "drawn")
        if any(name in row for row in summary["classes"])
    ]
    names = {"planned": "after the plan", "drawn": "drawn an epoch"}
    classes: Rows = [
        (row["label"] or "(no label)", row["files"], row["readable"], *(row[part] for part in parts))
        for row in summary["classes"]
    ]
    columns = ["class", "files", "readable", *(names.get(part, part) for part in parts)]
    raw, planned = summary["imbalance"], summary["effective_classes"]
    title = f"Classes: largest to smallest {raw['raw']:.1f} : 1, as good as {planned['raw']:.1f} even classes"
    if "planned" in parts:
        title += f"; after the plan {raw['planned']:.1f} : 1 and {planned['planned']:.1f}"
    measures: Rows = [
        (name.replace("_", " "), *(float(summary[name][q]) for q in ("min", "p5", "median", "p95", "max")))
        for name in _MEASURES
        if summary[name]
    ]
    kinds: Rows = [(kind, count) for key in ("formats", "modes") for kind, count in summary[key].items()]
    return [
        (title, columns, classes),
        ("Measures (of readable files)", ["measure", "min", "5 %", "median", "95 %", "max"], measures),
        ("Formats and modes", ["kind", "files"], kinds),
    ]


def error_lines(error: pd.DataFrame) -> list[str]:
    """The table `error` in sentences."""
    words = {
        "precision": "Estimated: {low:.1%} or more of the {of:,} pairs of edited copies are right (95 % sure; best guess {value:.1%}).",
        "recall": "Of {of} test copies, made of your pictures outside the folder, {value:.0%} were found (95 % interval {low:.0%} to {high:.0%}).",
    }
    return [
        words[str(row["measure"])].format(**{str(key): value for key, value in row.items()})
        for row in error.to_dict("records")
        if row["of"] >= FEW_TO_ESTIMATE
    ]


def photo_lines(share: pd.DataFrame, photos: pd.DataFrame) -> list[tuple[str, str | None]]:
    """What the photo filter found, from the tables `share` and `photos`: the estimate, the verdicts, and the clusters."""
    counts = {
        verdict: int((photos["photo_verdict"] == verdict).sum()) for verdict in ("drawing", "photo", "unsure")
    }
    removed = int((photos["action"] == "remove").sum())
    lines: list[tuple[str, str | None]] = [(sentence, None) for sentence in share["sentence"]]
    clusters = photos.loc[photos["cluster"] != "", "cluster"].value_counts()
    if len(clusters):
        listed = "; ".join(f"{name} ({count:,})" for name, count in clusters.items())
        lines.append((f"Clusters of this folder: {listed}.", None))
    lines.append(
        (
            f"{len(photos):,} pictures: {counts['drawing']:,} drawings, {counts['photo']:,} photographs, "
            f"{counts['unsure']:,} unsure (kept, for a person to see). "
            f"{removed:,} would be removed ({removed / max(len(photos), 1):.1%}).",
            None,
        )
    )
    return lines


def problem_lines(problems: pd.DataFrame, folder: str, workspace: str = "") -> list[tuple[str, str | None]]:
    """Each problem as (text, style): the sentence, then the command that deals with it in `folder`.

    The worst first, of equally grave ones the one of most files: the order of `curate.stages.problems`.
    """
    if problems.empty:
        return [("No problem was found.", "green")]
    rank = problems.severity.map({name: i for i, name in enumerate(_STYLES)})
    lines: list[tuple[str, str | None]] = []
    ordered = problems.assign(rank=rank).sort_values(
        ["rank", "count", "problem"], ascending=[True, False, True]
    )
    for row in ordered.itertuples():
        severity = str(row.severity)
        lines.append((f"{severity:6}  {row.sentence}", _STYLES.get(severity)))
        if row.command:
            lines.append((f"        {addressed(str(row.command), folder, workspace)}", None))
    return lines


def addressed(command: str, folder: str, workspace: str = "") -> str:
    """A command that says DIR, for the folder and the workspace as the user called them (no workspace: the usual one)."""
    words = " ".join(shlex.quote(folder) if word == "DIR" else word for word in command.split(" "))
    named = workspace and command.startswith("curate ")
    return f"{words} --workspace {shlex.quote(workspace)}" if named else words


def plan_rows(plan: pd.DataFrame) -> Table:
    """What the plan would do: files and megabytes by action and by the stage that decided."""
    rows: Rows = []
    for (action, stage), part in plan.groupby(["action", "stage"], sort=True):
        rows.append((action, stage or "-", len(part), float(part["size"].sum() / 1e6)))
    return ("The plan", ["action", "decided by", "files", "MB"], rows)


def split_rows(splits: pd.DataFrame) -> Table:
    """Pictures of each class in each part, and in all."""
    parts = ["train", "val", "test", "out"]
    counts = splits.groupby(["label", "split"]).size()
    rows: Rows = [
        (label or "(no label)", *(int(counts.get((label, part), 0)) for part in parts))
        for label in sorted(splits.label.unique())
    ]
    rows.append(("all", *(int((splits.split == part).sum()) for part in parts)))
    return ("The split", ["class", *parts], rows)


def balance_rows(balance: pd.DataFrame) -> Table:
    """For each class its training pictures, how many are drawn an epoch or left out, and its weight."""
    rows: Rows = [
        (
            str(label) or "(no label)",
            len(part),
            int(part.copies.sum()),
            int((part.copies == 0).sum()),
            float(part.weight.mean()),
        )
        for label, part in balance.groupby("label", sort=True)
    ]
    return ("The training part", ["class", "pictures", "drawn an epoch", "left out", "weight"], rows)
