"""The page of `classify compare`: the difference and how far to believe it, by class, and the pictures that changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reports.document import Gallery, Part, Plot, Plots, Section, Shot, Table, document
from reports.evaluation import ranges

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

_SHOWN = 24
"""Pictures in each grid."""

_TONES = {"wrong to right": "stay", "right to wrong": "go", "wrong to another wrong": "review"}

Read = Callable[[str], "NDArray[np.uint8] | None"]
"""The picture at a path, uint8 (S, S, 3); None where it cannot be had."""


def comparison_page(
    figures: Mapping[str, Any],
    sentences: Sequence[str],
    overall: Sequence[Sequence[str]],
    classes: Sequence[Sequence[str]],
    flips: pd.DataFrame,
    read: Read,
) -> str:
    """The HTML of a comparison.

    `figures` is what `comparison.json` holds, `overall` and `classes` the rows of the two tables on the terminal, `flips` the
    pictures that changed (see `classify.evaluation.comparison.flips`).
    """
    sections = [
        Section("Overall", [_named(figures), Table(["", "A", "B", "B - A", "95 % interval"], overall)]),
        Section("Classes", _classes(figures, classes)),
        *(_changed(kind, flips[flips["change"] == kind], read) for kind in _TONES),
    ]
    foot = "The same in figures: comparison.json and flips.csv, beside it."
    return document("classify compare", "B against A", sentences, sections, foot)


def _named(figures: Mapping[str, Any]) -> str:
    return " ".join(
        f"{name.upper()} is {figures[name]['weights'] or figures[name]['predictions']}."
        for name in ("a", "b")
    )


def _classes(figures: Mapping[str, Any], rows: Sequence[Sequence[str]]) -> list[Part]:
    found = {name: row["f1"] for name, row in figures["per_class"].items()}
    drawn = [str(row[0]) for row in rows]
    if not any(found[name]["difference"] for name in drawn):
        return []
    bands = [(name, found[name]["difference"], (found[name]["low"], found[name]["high"])) for name in drawn]
    reach = max(0.05, *(abs(value) for _, _, ends in bands for value in ends))
    said = (
        "F1 of B less that of A, the largest differences first, with 95 % intervals; on the dashed mark, 0, both are equal. "
        "Right of it B is better. p, Holm: allows for the number of classes; below 0.05 it is hardly chance."
    )
    said += f" Shown are {len(drawn)} of {len(found)}." if len(drawn) < len(found) else ""
    plot = ranges(bands, 0.0, f"Difference in F1 of {len(bands)} classes", (-reach, reach))
    columns = ["class", "pictures", "F1 of A", "F1 of B", "B - A", "95 % interval", "p, Holm"]
    return [
        said,
        Plots([Plot(plot)], wide=True),
        Table(columns, [[str(cell) for cell in row] for row in rows]),
    ]


def _changed(kind: str, rows: pd.DataFrame, read: Read) -> Section:
    title = f"{kind[0].upper()}{kind[1:]}: {len(rows):,}"
    if rows.empty:
        return Section(title)
    shots = [
        Shot(
            read(row["path"]),
            row["b"],
            _TONES[kind],
            f"{row['confidence_b']:.0%}; A: {row['a']} {row['confidence_a']:.0%}"
            + ("" if row["b"] == row["label"] else f"; is {row['label']}"),
            row["path"],
        )
        for row in rows.head(_SHOWN).to_dict("records")
    ]
    return Section(title, [Gallery(shots, more=max(0, len(rows) - _SHOWN))])
