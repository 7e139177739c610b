"""The page of a sweep: its table, and a dot for each seed of each combination; one HTML file that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from reports.document import Plot, Plots, Section, Table, document
from reports.plots import WIDTH, ticks

_LEFT, _RIGHT, _BAND, _TOP, _BOTTOM = 8, 8, 38, 4, 24
_STEPS = 3
"""Heights over which the dots of a combination are spread, so that equal ones can be told apart."""
_NAME = 44
"""Longest name in the plot, characters; the table holds the whole."""


def sweep_page(content: Mapping[str, Any], columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """The HTML of a sweep from what its `results.json` holds and its table (see `classify.sweep_results`)."""
    rows = content["rows"]
    words = content["compare"].replace("val_", "validation ").replace("macro_f1", "macro-F1")
    left = [f"{cell['name']}, seed {cell['seed']}: failed. {cell['reason']}" for cell in content["failed"]]
    left += [f"{cell['name']}, seed {cell['seed']}: not begun." for cell in content["left"]]
    sections = [Section("Not in the table", left)]
    if rows:
        strong = frozenset(i for i, row in enumerate(rows) if row["baseline"])
        plot = Plots([Plot(dots(rows))], wide=True)
        sections = [
            Section("Every seed", [_DOTS.format(words), plot]),
            Section("Combinations", [_COLUMNS, Table(columns, cells, strong=strong)]),
            *sections,
        ]
    foot = "The same in figures: results.json, beside it."
    return document("classify sweep", content["name"], content["sentences"], sections, foot)


_DOTS = (
    "A dot is a cell, the line the mean of a combination, the dashed line that of the baseline. The axis is the {}; it "
    "does not begin at 0."
)
_COLUMNS = (
    "Best first. Spread: standard deviation over the seeds. Difference: to the baseline, paired by seed, with its 95 % "
    "interval. Seconds and pictures seen: of one cell."
)


def dots(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """A band for each row in its order: its name, a dot at each cell's value, a line at the mean; SVG.

    The baseline's mean goes down through all bands, dashed. Classes used: `stay`, `mean`, `mark`, `axis`, `tick`, `name`.
    """
    values = [float(cell["value"]) for row in rows for cell in row["cells"]]
    if not values:
        return Markup("")
    low, high = min(values), max(values)
    margin = max(0.04 * (high - low), 0.005)
    low, high = low - margin, high + margin

    def across(value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - low) / (high - low)

    floor = _TOP + _BAND * len(rows)
    parts = [
        f'<path class="mark" d="M{across(row["mean"]):.1f} {_TOP}V{floor}"/>'
        for row in rows
        if row["baseline"]
    ]
    for i, row in enumerate(rows):
        top = _TOP + _BAND * i
        name = row["name"] if len(row["name"]) <= _NAME else row["name"][: _NAME - 1] + "…"
        mark = ' <tspan class="tick">baseline</tspan>' if row["baseline"] and name != "baseline" else ""
        parts.append(f'<text class="name" x="{_LEFT}" y="{top + 12}">{escape(name)}{mark}</text>')
        x = across(row["mean"])
        parts.append(f'<path class="mean" d="M{x:.1f} {top + 16}V{top + 35}"/>')
        for j, cell in enumerate(row["cells"]):
            y = top + 20 + 5 * (j % _STEPS)
            said = f"seed {cell['seed']}: {cell['value']:.3f}"
            parts.append(
                f'<circle class="stay" cx="{across(cell["value"]):.1f}" cy="{y}" r="3.5"><title>{escape(said)}</title></circle>'
            )
    parts.append(f'<path class="axis" d="M{_LEFT} {floor + 0.5}H{WIDTH - _RIGHT}"/>')
    for at, text in ticks(low, high):
        anchor = (
            "start" if across(at) < _LEFT + 12 else "end" if across(at) > WIDTH - _RIGHT - 12 else "middle"
        )
        parts.append(f'<path class="axis" d="M{across(at):.1f} {floor}v4"/>')
        parts.append(
            f'<text class="tick" x="{across(at):.1f}" y="{floor + 16}" text-anchor="{anchor}">{text}</text>'
        )
    said = f"{len(values)} cells of {len(rows)} combinations, from {min(values):.3f} to {max(values):.3f}"
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {floor + _BOTTOM}" role="img" aria-label="{said}"><title>{said}</title>{"".join(parts)}</svg>'
    )
