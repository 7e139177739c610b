"""The page of an evaluation: scores and how far to believe them, where it errs, and the pictures themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from reports.document import Figure, Gallery, Part, Plot, Plots, Section, Shot, Table, document
from reports.plots import WIDTH, ticks

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

_SHOWN = 24
"""Pictures in each grid."""

_PLOTTED = 60
"""Classes up to which all are drawn; of more, the worst and the best."""

_LEFT, _RIGHT, _BAND, _BOTTOM = 8, 8, 30, 24
_NAME = 40

Read = Callable[[int], "Image.Image"]
"""The picture of a row of the predictions; whatever it raises shows as a grey cell."""


def evaluation_page(
    metrics: Mapping[str, Any], predictions: pd.DataFrame, confusion: bytes, read: Read, lines: Sequence[str]
) -> str:
    """The HTML of an evaluation.

    `metrics` is what `metrics.json` holds, `predictions` the table beside it, `confusion` the matrix as a PNG, `lines`
    the sentences that the terminal shows.
    """
    wrong = predictions[predictions["label"] != predictions["prediction"]]
    right = predictions[predictions["label"] == predictions["prediction"]]
    surest = wrong.sort_values("confidence", ascending=False, kind="stable")
    unsure = right.sort_values("confidence", kind="stable")
    some = predictions.sample(min(_SHOWN, len(predictions)), random_state=0).sort_index()
    sections = [
        Section("Classes", _classes(metrics)),
        Section("What is taken for what", _confused(metrics, confusion)),
        Section("Confidence", _confidence(metrics["calibration"])),
        Section("Test pictures that were trained on", _leaks(metrics, predictions, read)),
        Section(
            "A sample of the test pictures", [_sampled(len(predictions)), _gallery(some, read, len(some))]
        ),
        Section(
            "Wrong, and most sure of it", [_SUREST, _gallery(surest, read, len(wrong))] if len(wrong) else []
        ),
        Section("Right, but least sure", [_gallery(unsure, read, len(right))] if len(right) else []),
        Section("Not scored", _unscored(metrics)),
    ]
    title = f"{metrics['pictures']:,} test pictures, {len(metrics['per_class'])} classes"
    lead = [f"{metrics['folder']}, by {metrics['weights']}", *lines]
    foot = "The same in figures: metrics.json and predictions.parquet, beside it."
    return document("classify evaluate", title, lead, sections, foot, _tiles(metrics))


_SUREST = (
    "What the classifier was most certain of and got wrong: often a wrong label, a picture of two things, or a class that "
    "needs more examples."
)


def _sampled(count: int) -> str:
    return f"Drawn at random{'' if count > _SHOWN else ': all of them'}."


def _tiles(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    found = metrics["intervals"]
    tiles = [
        (word, f"{metrics[name]:.3f}", "{:.3f} to {:.3f}".format(*found[name]))
        for word, name in (
            ("accuracy", "accuracy"),
            ("macro-F1", "macro_f1"),
            ("balanced accuracy", "balanced_accuracy"),
        )
    ]
    tiles += [
        (name.replace("_", "-", 1).replace("_", " "), f"{metrics[name]:.3f}", "")
        for name in metrics
        if name.startswith("top_")
    ]
    error = metrics["calibration"]["ece"]
    tiles.append(("calibration error", f"{error:.3f}", "confidence against accuracy, on average"))
    if (metrics.get("leaks") or {"checked": "no"})["checked"] != "no":
        tiles.append(("leaks", f"{metrics['leaks']['count']:,}", "test pictures that were trained on"))
    return tiles


def _classes(metrics: Mapping[str, Any]) -> list[Part]:
    ends, classes = metrics["intervals"]["per_class"], metrics["per_class"]
    names = sorted(classes, key=lambda name: (classes[name]["f1"], name))
    rows = [
        [
            name,
            f"{classes[name]['precision']:.3f}",
            f"{classes[name]['recall']:.3f}",
            f"{classes[name]['f1']:.3f}",
            "{:.3f} to {:.3f}".format(*ends[name]["f1"]),
            f"{classes[name]['support']:,}",
        ]
        for name in names
    ]
    drawn, cut = names, ""
    if len(names) > _PLOTTED:
        drawn = [*names[: _PLOTTED // 2], *names[-_PLOTTED // 2 :]]
        cut = f" Drawn are the {_PLOTTED // 2} worst and the {_PLOTTED // 2} best of {len(names)}."
    mean = metrics["macro_f1"]
    plot = ranges(
        [(name, classes[name]["f1"], ends[name]["f1"]) for name in drawn],
        mean,
        f"F1 of {len(drawn)} classes; their mean is {mean:.3f}",
    )
    said = (
        "F1 of each class, the worst first, with its 95 % interval; the dashed mark is their mean, macro-F1. "
        f"A wide interval: too few test pictures to tell.{cut}"
    )
    columns = ["class", "precision", "recall", "F1", "95 % interval of F1", "pictures"]
    return [said, Plots([Plot(plot)], wide=True), Table(columns, rows)]


def ranges(
    rows: Sequence[tuple[str, float, Sequence[float]]],
    mark: float,
    said: str,
    ends: tuple[float, float] = (0.0, 1.0),
) -> Markup:
    """A band a row: its name, below it a dot at the value, a line over the interval, and a dashed mark at `mark`; SVG.

    `ends` are those of the axis; `said` tells the plot to those who cannot see it.
    """
    low_end, high_end = ends

    def across(value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - low_end) / (high_end - low_end)

    floor = _BAND * len(rows) + 6
    parts = []
    for i, (name, value, (low, high)) in enumerate(rows):
        y = _BAND * i
        shown = name if len(name) <= _NAME else name[: _NAME - 1] + "…"
        label = escape(f"{name}: {value:.3f}, {low:.3f} to {high:.3f}")
        parts.append(f'<path class="mark" d="M{across(mark):.1f} {y + 16}v12"/>')
        parts.append(f'<path class="mean" d="M{across(low):.1f} {y + 22}H{across(high):.1f}"/>')
        parts.append(
            f'<circle class="stay" cx="{across(value):.1f}" cy="{y + 22}" r="4"><title>{label}</title></circle>'
        )
        parts.append(f'<text class="name" x="{_LEFT}" y="{y + 13}">{escape(shown)}</text>')
    parts.append(f'<path class="axis" d="M{_LEFT} {floor + 0.5}H{WIDTH - _RIGHT}"/>')
    for at, text in ticks(*ends):
        share = (at - low_end) / (high_end - low_end)
        anchor = "start" if share < 0.05 else "end" if share > 0.95 else "middle"
        parts.append(
            f'<text class="tick" x="{across(at):.1f}" y="{floor + 16}" text-anchor="{anchor}">{text}</text>'
        )
    told = escape(said)
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {floor + _BOTTOM}" role="img" aria-label="{told}"><title>{told}</title>{"".join(parts)}</svg>'
    )


def _confused(metrics: Mapping[str, Any], confusion: bytes) -> list[Part]:
    pairs = metrics["most_confused"]
    parts: list[Part] = [Figure(confusion, "Confusion matrix: true class by row, predicted class by column.")]
    if pairs:
        rows = [
            [pair["label"], pair["prediction"], f"{pair['count']:,}", f"{pair['share']:.0%}"]
            for pair in pairs
        ]
        columns = ["class", "taken for", "pictures", "of the class"]
        parts.append(Table(columns, rows, left=2, title="Most confused"))
    return parts


def _confidence(belief: Mapping[str, Any]) -> list[Part]:
    warm, raw, own = belief["temperature"], belief["ece_without_temperature"], belief["ece"]
    said = f"Of the pictures that the classifier is 80 % sure of, 80 % should be right. It is off by {own:.3f} on average. "
    if warm == 1:
        said += "No temperature was fitted."
    else:
        said += f"The temperature {warm:.2f}, fitted on the validation part, is in it; without: {raw:.3f}."
        said += "" if own <= raw else " Here it does not help."
    note = "The area of a dot is its number of pictures; on the dashed line confidence and accuracy agree."
    return [said, Plots([Plot(reliability(belief["bins"]), "Accuracy by confidence", note)], wide=True)]


def reliability(bins: Sequence[Mapping[str, Any]]) -> Markup:
    """Mean confidence (across) against accuracy (up) of each bin, the area of a dot its pictures; SVG."""
    side, left, top = 240.0, 60.0, 10.0
    total = max(1, sum(row["pictures"] for row in bins))
    parts = [
        f'<path class="axis" d="M{left} {top}V{top + side}H{left + side}"/>',
        f'<path class="mark" d="M{left} {top + side}L{left + side} {top}"/>',
    ]
    for row in bins:
        x, y = left + side * row["confidence"], top + side * (1 - row["accuracy"])
        radius = 2 + 16 * float(np.sqrt(row["pictures"] / total))
        said = (
            f"confidence {row['confidence']:.2f}, {row['accuracy']:.2f} right, {row['pictures']:,} pictures"
        )
        parts.append(
            f'<circle class="stay" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill-opacity=".75"><title>{said}</title></circle>'
        )
    for at, text in ticks(0.0, 1.0):
        parts.append(
            f'<text class="tick" x="{left + side * at:.1f}" y="{top + side + 16}" text-anchor="middle">{text}</text>'
        )
        parts.append(
            f'<text class="tick" x="{left - 6}" y="{top + side * (1 - at) + 4:.1f}" text-anchor="end">{text}</text>'
        )
    parts.append(
        f'<text class="tick" x="{left + side / 2}" y="{top + side + 32}" text-anchor="middle">confidence</text>'
    )
    parts.append(
        f'<text class="tick" x="{left - 30}" y="{top + side / 2}" text-anchor="middle" transform="rotate(-90 {left - 30} {top + side / 2})">accuracy</text>'
    )
    said = f"Reliability of {total:,} predictions in {len(bins)} bins of confidence"
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} 290" role="img" aria-label="{said}"><title>{said}</title>{"".join(parts)}</svg>'
    )


def _leaks(metrics: Mapping[str, Any], predictions: pd.DataFrame, read: Read) -> list[Part]:
    found = metrics.get("leaks")
    if not found or not found["count"]:
        return []
    places = {path: i for i, path in enumerate(predictions["path"])}
    rows = [row for row in found["pairs"] if row["path"] in places]
    without = found["without"]
    said = f"{found['count']:,} of the {metrics['pictures']:,} test pictures stand in the training data."
    if without:
        said += f" Without them: accuracy {without['accuracy']:.3f}, macro-F1 {without['macro_f1']:.3f}."
    shots = [
        Shot(
            _picture(read, places[row["path"]]),
            row["kind"],
            "review",
            f"as {row['training_path']}",
            row["path"],
        )
        for row in rows[:_SHOWN]
    ]
    return [said, Gallery(shots, more=max(0, found["count"] - len(shots)))]


def _gallery(table: pd.DataFrame, read: Read, count: int) -> Gallery:
    shots = []
    shown = table.head(_SHOWN)
    for index, row in zip(shown.index.tolist(), shown.to_dict("records"), strict=True):
        hit = row["label"] == row["prediction"]
        truth = "" if hit else f"instead of {row['label']}; "
        sure = f"{truth}{row['confidence']:.0%} sure"
        shots.append(
            Shot(_picture(read, index), row["prediction"], "stay" if hit else "go", sure, row["path"])
        )
    return Gallery(shots, more=max(0, count - len(shots)))


def _picture(read: Read, row: int) -> Image.Image | None:
    try:
        return read(row)
    except (
        Exception
    ):  # the file may have changed since it was judged, in any way; a page is no place to fail for it
        return None


def _unscored(metrics: Mapping[str, Any]) -> list[Part]:
    parts: list[Part] = []
    if metrics["unreadable"]:
        rows = [[row["path"], row["detail"]] for row in metrics["unreadable"][:_SHOWN]]
        parts.append(Table(["file", "why it cannot be read"], rows, left=2))
        if len(metrics["unreadable"]) > _SHOWN:
            parts.append(f"{len(metrics['unreadable']) - _SHOWN:,} more stand in metrics.json.")
    return parts
