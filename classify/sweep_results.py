"""What a sweep found, in figures: mean, spread, difference to the baseline, cost; as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SCHEMA = 1
"""Version of the layout of `results.json`."""

LEVEL = 0.95
"""Confidence of the intervals."""

FIGURES = 6
"""Columns of `table` up to the comparison; after them come those of cost and test, which a terminal shows apart."""

WORDS = {"val_macro_f1": "validation macro-F1", "val_accuracy": "validation accuracy"}


@dataclass(frozen=True)
class Difference:
    """Mean difference over `n` seeds, and the ends of its interval; None with fewer than two seeds."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def told(self) -> bool:
        """Whether it can be told from noise: the interval leaves out 0.

        Differences that are equal at every seed have no spread to judge by; they come of a small validation part,
        where a score has few values, and are not told either.
        """
        return (
            self.low is not None
            and self.high is not None
            and self.high - self.low > 1e-12
            and not self.low <= 0 <= self.high
        )


def paired(values: Mapping[int, float], baseline: Mapping[int, float]) -> Difference | None:
    """Difference of two combinations, seed by seed, over the seeds that both have; None where there is none.

    The interval is Student's (1908): mean ± t(n - 1) s / sqrt(n), with s the standard deviation of the differences.
    """
    seeds = sorted(values.keys() & baseline.keys())
    if not seeds:
        return None
    differences = np.array([values[seed] - baseline[seed] for seed in seeds])
    mean = float(differences.mean())
    if len(seeds) < 2:
        return Difference(mean, None, None, len(seeds))
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, len(seeds) - 1) * differences.std(ddof=1) / math.sqrt(len(seeds)))
    return Difference(mean, mean - half, mean + half, len(seeds))


def summarise(
    names: Sequence[str],
    changes: Sequence[Mapping[str, Any]],
    results: Sequence[Mapping[int, Any]],
    measure: str,
) -> list[dict[str, Any]]:
    """A row for each combination with a finished cell, the best mean of `measure` first.

    `results` maps the seeds of each combination to what its cells came to. The first combination is the baseline.
    Costs and test figures are means over the cells.
    """
    rows = []
    scores = [{seed: cell[measure] for seed, cell in cells.items()} for cells in results]
    for i, cells in enumerate(results):
        if not cells:
            continue
        difference = paired(scores[i], scores[0]) if i else None
        rows.append(
            {
                "name": names[i],
                "baseline": i == 0,
                "changes": dict(changes[i]),
                **_spread([scores[i][seed] for seed in sorted(cells)]),
                "difference": difference.mean if difference else None,
                "low": difference.low if difference else None,
                "high": difference.high if difference else None,
                "pairs": difference.n if difference else None,
                "told": difference.told if difference else None,
                "seconds": _mean([cell["seconds"] for cell in cells.values()]),
                "pictures": _mean([cell["pictures"] for cell in cells.values()]),
                **_test(list(cells.values())),
                "cells": [{"value": scores[i][seed], **cells[seed]} for seed in sorted(cells)],
            }
        )
    return sorted(rows, key=lambda row: -row["mean"])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _spread(values: Sequence[float]) -> dict[str, Any]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": _mean(values), "spread": spread, "n": len(values)}


def _test(cells: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    judged = [cell["test"] for cell in cells if "test" in cell]
    return {
        f"test_{name}": _mean([test[name] for test in judged]) for name in ("macro_f1", "accuracy") if judged
    }


def sentences(rows: Sequence[Mapping[str, Any]], measure: str) -> list[str]:
    """What the rows say in plain words: the best, what can be told from noise, and what cannot."""
    if not rows:
        return ["No cell is finished."]
    said = [f"Highest {WORDS[measure]}: {rows[0]['mean']:.3f}, by {rows[0]['name']}."]
    others = [row for row in rows if not row["baseline"]]
    known = [row for row in others if row["low"] is not None]
    told = [row for row in known if row["told"]]
    if not others:
        said.append("There is nothing yet to compare it with.")
    elif not known:
        said.append(
            "No difference can be told from noise: that needs two seeds or more of the baseline and of a combination."
        )
    elif not told:
        said.append(
            "No difference to the baseline can be told from noise: none has a 95 % interval beyond 0."
        )
    for row in told:
        way = "above" if row["difference"] > 0 else "below"
        said.append(
            f"{row['name']} is {abs(row['difference']):.3f} {way} the baseline "
            f"(95 % interval {row['low']:+.3f} to {row['high']:+.3f}, {row['pairs']} seeds)."
        )
    if told and len(known) > 1:
        said.append(
            f"Of {len(known)} comparisons without any real difference, about {(1 - LEVEL) * len(known):.1f} would look so by chance."
        )
    if any("test_macro_f1" in row for row in rows):
        said.append("The test figures are for information: order and choice are by validation.")
    return said


# Tables ---------------------------------------------------------------------------------------------------------


def table(rows: Sequence[Mapping[str, Any]], measure: str) -> tuple[list[str], list[list[str]]]:
    """Column names and cells as people read them; the seconds and pictures are those of one cell."""
    judged = any("test_macro_f1" in row for row in rows)
    columns = [
        "combination",
        WORDS[measure],
        "spread",
        "n",
        "difference",
        "95 % interval",
        "seconds",
        "pictures",
    ]
    columns += ["test macro-F1", "test accuracy"] if judged else []
    cells = []
    for row in rows:
        known = row["low"] is not None
        line = [
            row["name"] + (" (baseline)" if row["baseline"] and row["name"] != "baseline" else ""),
            f"{row['mean']:.3f}",
            "" if row["spread"] is None else f"{row['spread']:.3f}",
            str(row["n"]),
            "" if row["difference"] is None else f"{row['difference']:+.3f}",
            f"{row['low']:+.3f} to {row['high']:+.3f}" if known else "",
            f"{row['seconds']:.1f}",
            f"{row['pictures']:,.0f}",
        ]
        if judged:
            line += [f"{row[key]:.3f}" if key in row else "" for key in ("test_macro_f1", "test_accuracy")]
        cells.append(line)
    return columns, cells


def to_markdown(content: Mapping[str, Any]) -> str:
    """The results as a Markdown page, from what `results.json` holds."""
    columns, cells = table(content["rows"], content["compare"])
    lines = [f"# Sweep {content['name']}", ""]
    if cells:
        lines += [*markdown_table(columns, cells), ""]
        lines += [
            "Spread: standard deviation over the seeds. Difference: to the baseline, paired by seed. "
            "Seconds and pictures seen: of one cell.",
            "",
        ]
    lines += [f"- {text}" for text in content["sentences"]]
    for kind, text in (("failed", "Failed"), ("left", "Not begun or not finished")):
        for cell in content[kind]:
            reason = f": {cell['reason']}" if "reason" in cell else ""
            lines.append(f"- {text}: {cell['name']}, seed {cell['seed']}{reason}")
    return "\n".join(lines) + "\n"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table whose first column holds words, and whose others hold numbers."""
    return [_line(columns), "|---|" + "---:|" * (len(columns) - 1), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def to_csv(content: Mapping[str, Any]) -> str:
    """A combination a row, unrounded; each changed key has its own column."""
    keys = list(content["keys"])
    figures = ["n", "mean", "spread", "difference", "low", "high", "pairs", "told", "seconds", "pictures"]
    figures += ["test_macro_f1", "test_accuracy"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["combination", "baseline", *keys, *figures])
    for row in content["rows"]:
        changed = [row["changes"].get(key, "") for key in keys]
        numbers = ["" if row.get(name) is None else row[name] for name in figures]
        writer.writerow([row["name"], row["baseline"], *changed, *numbers])
    return text.getvalue()


def to_json(content: Mapping[str, Any]) -> str:
    """Everything, each cell included."""
    return json.dumps({"schema": SCHEMA, **content}, indent=1, ensure_ascii=False)
