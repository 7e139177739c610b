"""The page of `classify impact`: what each step of curation was worth, with a dot for each training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports.document import Plot, Plots, Section, Table, document
from reports.sweep import dots


def impact_page(content: Mapping[str, Any], columns: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """The HTML of what `impact.json` holds, and its table (see `classify.ablation.results`)."""
    rows = list(content["arms"])
    if content["inflation"]:
        rows.append(content["inflation"]["row"])
    left = [f"{cell['name']}, seed {cell['seed']}: failed. {cell['reason']}" for cell in content["failed"]]
    left += [f"{cell['name']}, seed {cell['seed']}: not begun." for cell in content["left"]]
    sections = [Section("What else is to be known", [*content["notes"], _budget(content)])]
    sections.append(Section("Not in the table", left))
    if rows:
        strong = frozenset(i for i, row in enumerate(rows) if row["baseline"])
        sections = [
            Section("Every training", [_DOTS, Plots([Plot(dots(rows))], wide=True)]),
            Section("With each step left out", [_COLUMNS, Table(columns, cells, strong=strong)]),
            *sections,
        ]
    foot = "The same in figures: impact.json, beside it."
    return document("classify impact", content["name"], content["sentences"], sections, foot)


def _budget(content: Mapping[str, Any]) -> str:
    return f"Each training: {content['budget']['words']}. Test pictures: {content['test_pictures']:,}."


_DOTS = (
    "A dot is a training, the line the mean of its arm, the dashed line that of the cleaned set. The axis is the macro-F1 on "
    "the test pictures; it does not begin at 0."
)
_COLUMNS = (
    "Worth of a step: the cleaned set's macro-F1 less that without the step, paired by seed; above 0 the step helped. "
    "95 % interval: chance in training and in the test pictures together; seeds alone: in training only. Spread: standard "
    "deviation over the seeds."
)
