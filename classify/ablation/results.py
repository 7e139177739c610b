"""What `classify.impact` found, in figures and sentences; as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.ablation.arms import (
    AS_IT_CAME,
    BALANCING,
    CLEANED,
    CONFLICTS,
    DUPLICATES,
    PHOTOGRAPHS,
    RANDOM,
    STEPS,
    Arm,
)
from classify.ablation.resampling import joined, resampled_macro_f1
from classify.sweep_results import Difference, markdown_table, paired
from curate.words import counted

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

SCHEMA = 1
"""Version of the layout of `impact.json`."""

ALL = "all"
"""The effect of all steps together."""

_DOING = {
    DUPLICATES: "Removing duplicates",
    PHOTOGRAPHS: "Removing photographs",
    CONFLICTS: "Resolving conflicts of labels",
    BALANCING: "Balancing the classes",
    ALL: "All steps together",
}
FIGURES = 7
"""Columns of `table` that a terminal shows."""

_NOTHING = {
    DUPLICATES: "no duplicate would come back",
    PHOTOGRAPHS: "no photograph would come back",
    CONFLICTS: "no picture under several labels would come back",
    BALANCING: "the classes are not balanced",
}


@dataclass(frozen=True)
class Judged:
    """A finished cell: its result, and for each of its tests the predictions (path, label, prediction)."""

    result: dict[str, Any]
    predictions: dict[str, pd.DataFrame]

    def score(self, test: str = "test") -> float:
        """Macro-F1 on the test of that name."""
        return float(self.result[test]["macro_f1"])


def read_predictions(file: Path) -> pd.DataFrame:
    """What `classify evaluate` predicted: path, label, prediction."""
    import pandas as pd

    return pd.read_parquet(file, columns=["path", "label", "prediction"])


# Figures --------------------------------------------------------------------------------------------------------


def summarise(
    arms: Sequence[Arm], finished: Mapping[str, Mapping[int, Judged]], groups: Mapping[str, int]
) -> dict[str, Any]:
    """`arms`: a row for each arm with a finished cell; `effects`: what each step was worth, with its interval.

    An effect is the macro-F1 of the cleaned set less that of the arm without the step, seed by seed, so above 0 the step
    helped. `low`, `high`: chance in training and in the test pictures, see `resampling.joined`; `seeds`: in training
    alone; `pictures`: standard deviation over bootstrap samples of the test pictures, drawn by `groups` (by path).
    """
    samples = _samples({name: finished[name] for name in finished if name != RANDOM}, groups)
    rows, effects = [], []
    for arm in arms:
        cells = finished[arm.name]
        if cells:
            rows.append(_row(arm.name, arm.without, arm.pictures, cells))
        seeds = sorted(cells.keys() & finished[CLEANED].keys())
        if arm.name != CLEANED and seeds:
            step = ALL if arm.name == AS_IT_CAME else arm.without[0]
            spread = np.mean(
                [samples[CLEANED, seed] - samples[arm.name, seed] for seed in seeds], axis=0
            ).std()
            scores = [{seed: one[seed].score() for seed in seeds} for one in (finished[CLEANED], cells)]
            differences = [scores[0][seed] - scores[1][seed] for seed in seeds]
            alone = paired(*scores)
            effects.append(
                {
                    "step": step,
                    "arm": arm.name,
                    "more_pictures": arm.pictures - arms[0].pictures,
                    **_difference(joined(differences, float(spread))),
                    "seeds": {"low": alone.low, "high": alone.high} if alone else None,
                    "pictures": float(spread),
                }
            )
    tried = {step for arm in arms for step in arm.without if len(arm.without) == 1}
    return {"arms": rows, "effects": effects, "untried": [step for step in STEPS if step not in tried]}


def inflation(
    cells: Mapping[int, Judged],
    pictures: int,
    seen: Mapping[int, set[str]],
    groups: Mapping[str, int],
    held_groups: Mapping[str, int],
) -> dict[str, Any] | None:
    """What the random split claims, beside the scores of the same networks on pictures that they never saw.

    `cells` are those of the random split by seed, `pictures` those of its training part, `seen` the pictures of each one's own test part of which it saw copies.
    None where no cell is finished.
    """
    if not cells:
        return None
    seeds = sorted(cells)
    claimed = [cells[seed].score("own") for seed in seeds]
    found: dict[str, Any] = {
        "row": _row(RANDOM, STEPS, pictures, cells),
        "claimed": float(np.mean(claimed)),
        "cells": [
            {"seed": seed, **{test: cells[seed].score(test) for test in ("own", "test", "held")}}
            for seed in seeds
        ],
    }
    for test, by_path in (("test", groups), ("held", held_groups)):
        samples = _samples({RANDOM: cells}, by_path, test)
        spread = np.mean([samples[RANDOM, seed] for seed in seeds], axis=0).std()
        scores = [cells[seed].score(test) for seed in seeds]
        differences = [one - other for one, other in zip(claimed, scores, strict=True)]
        found[test] = {"mean": float(np.mean(scores)), **_difference(joined(differences, float(spread)))}
    return found | {"copies": _copies(cells, seen)}


def _copies(cells: Mapping[int, Judged], seen: Mapping[int, set[str]]) -> dict[str, float | int | None]:
    """The random test parts' pictures with a copy in training and the others, all seeds together: shares that are right."""
    right: dict[bool, list[bool]] = {True: [], False: []}
    for seed, cell in cells.items():
        table = cell.predictions["own"]
        for path, label, guess in zip(table["path"], table["label"], table["prediction"], strict=True):
            right[path in seen[seed]].append(label == guess)
    with_copy, without = right[True], right[False]
    return {
        "share": len(with_copy) / max(len(with_copy) + len(without), 1),
        "right_with_copy": float(np.mean(with_copy)) if with_copy else None,
        "right_without": float(np.mean(without)) if without else None,
    }


def _row(name: str, without: Sequence[str], pictures: int, cells: Mapping[int, Judged]) -> dict[str, Any]:
    scores = [cells[seed].score() for seed in sorted(cells)]
    results = [cells[seed].result for seed in sorted(cells)]
    return {
        "name": name,
        "baseline": name == CLEANED,
        "without": list(without),
        "pictures": pictures,
        "mean": float(np.mean(scores)),
        "spread": float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        "n": len(scores),
        "val_macro_f1": float(np.mean([result["val_macro_f1"] for result in results])),
        "seconds": float(np.mean([result["seconds"] for result in results])),
        "pictures_seen": float(np.mean([result["pictures"] for result in results])),
        "cells": [{"value": score, **result} for score, result in zip(scores, results, strict=True)],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    found = asdict(difference)
    return {
        "difference": found["mean"],
        "low": found["low"],
        "high": found["high"],
        "pairs": found["n"],
        "told": difference.told,
    }


def _samples(
    finished: Mapping[str, Mapping[int, Judged]], groups: Mapping[str, int], test: str = "test"
) -> dict[tuple[str, int], NDArray[np.float64]]:
    """Macro-F1 of each cell on the same bootstrap samples of the pictures that all of them judged."""
    cells = {(name, seed): cell for name, by_seed in finished.items() for seed, cell in by_seed.items()}
    if not cells:
        return {}
    tables = [cell.predictions[test].set_index("path") for cell in cells.values()]
    common = sorted(set.intersection(*(set(table.index) for table in tables)))
    tables = [table.loc[common] for table in tables]
    names = {name: number for number, name in enumerate(sorted(set(tables[0]["label"])))}
    labels = tables[0]["label"].map(names).to_numpy(np.int64)
    guesses = np.stack([table["prediction"].map(names).fillna(-1).to_numpy(np.int64) for table in tables])
    numbers = np.unique([groups[path] for path in common], return_inverse=True)[1]
    return dict(zip(cells, resampled_macro_f1(labels, guesses, numbers).T, strict=True))


# Words ----------------------------------------------------------------------------------------------------------


def sentences(content: Mapping[str, Any]) -> list[str]:
    """What the figures say, a plain sentence each; a step that did nothing is said too."""
    effects = content["effects"]
    said = [_effect(effect) for effect in effects]
    if not content["arms"] and not content["inflation"]:
        said.append("No training is finished.")
    said += [
        f"{_DOING[step]}: {_NOTHING[step]}, so there is nothing to measure." for step in content["untried"]
    ]
    told = [effect for effect in effects if effect["told"]]
    if told and len(effects) > 1:
        said.append(
            f"Of {len(effects)} comparisons without any real effect, about {0.05 * len(effects):.1f} would look so by chance."
        )
    if content["inflation"]:
        said += _inflated(content["inflation"])
    if content["left"]:
        said.append(
            f"Not begun, as the time was used: {counted(len(content['left']), 'training', 'trainings')}. The same command "
            "goes on with them."
        )
    return said


def _effect(effect: Mapping[str, Any]) -> str:
    start = f"{_DOING[effect['step']]}: {effect['difference']:+.3f} macro-F1"
    if effect["low"] is None:
        return f"{start} (one seed, which cannot be told from noise)."
    verdict = "no measurable effect"
    if effect["told"]:
        verdict = "it helped" if effect["difference"] > 0 else "it harmed"
    return f"{start} ({_interval(effect)}, {effect['pairs']} seeds): {verdict}."


def _interval(found: Mapping[str, Any]) -> str:
    return f"95 % interval {found['low']:+.3f} to {found['high']:+.3f}"


def _inflated(found: Mapping[str, Any]) -> list[str]:
    clean, held, copies = found["test"], found["held"], found["copies"]
    start = (
        f"A random split of the folder as it came would have claimed {found['claimed']:.3f}; the same networks on test "
        f"pictures that they have never seen in any form: {clean['mean']:.3f}."
    )
    if clean["low"] is None:
        verdict = f"The difference is {clean['difference']:+.3f}; one seed cannot tell it from noise."
    elif clean["told"] and clean["difference"] > 0:
        verdict = f"{clean['difference']:.3f} of it is illusion ({_interval(clean)}, {clean['pairs']} seeds)."
    else:
        verdict = (
            f"The difference is {clean['difference']:+.3f} ({_interval(clean)}): no measurable illusion."
        )
    said = [
        f"{start} {verdict}",
        f"On the leak-proof validation part, which took no part in their training: {held['mean']:.3f}.",
    ]
    if copies["right_with_copy"] is not None and copies["right_without"] is not None:
        said.append(
            f"{copies['share']:.0%} of the random test parts' pictures have a copy among those learnt from: of these "
            f"{copies['right_with_copy']:.0%} are right, of the others {copies['right_without']:.0%}."
        )
    return said


def table(content: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Column names and cells as people read them: the cleaned set, each arm with what the step was worth, the random split."""
    columns = ["trained on", "pictures", "macro-F1", "spread", "n", "worth", "95 % interval", "seeds alone"]
    effects = {effect["arm"]: effect for effect in content["effects"]}
    rows = list(content["arms"])
    if content["inflation"]:
        rows.append(content["inflation"]["row"])
    cells = []
    for row in rows:
        effect = effects.get(row["name"])
        line = [
            row["name"],
            f"{row['pictures']:,}",
            f"{row['mean']:.3f}",
            "" if row["spread"] is None else f"{row['spread']:.3f}",
            str(row["n"]),
        ]
        if effect is None:
            line += ["", "", ""]
        else:
            line += [f"{effect['difference']:+.3f}", _range(effect), _range(effect["seeds"])]
        cells.append(line)
    return columns, cells


def _range(found: Mapping[str, Any]) -> str:
    return "" if found["low"] is None else f"{found['low']:+.3f} to {found['high']:+.3f}"


# Files ----------------------------------------------------------------------------------------------------------

EXPLANATION = (
    "Macro-F1 on the test pictures: the mean over the seeds, and their standard deviation (spread). Worth of a step: the "
    "cleaned set's macro-F1 less that with the step left out, paired by seed; above 0 the step helped. 95 % interval: chance in "
    "training and in the test pictures together; seeds alone: in training only."
)


def to_markdown(content: Mapping[str, Any]) -> str:
    """The results as a Markdown page, from what `impact.json` holds."""
    columns, cells = table(content)
    where = content["test"] or "the test part of the split"
    lines = [
        f"# What curation was worth: {content['name']}",
        "",
        f"{counted(content['test_pictures'], 'test picture', 'test pictures')} ({where}); each training: "
        f"{content['budget']['words']}.",
        "",
    ]
    if cells:
        lines += [*markdown_table(columns, cells), "", EXPLANATION, ""]
    lines += [f"- {text}" for text in [*content["sentences"], *content["notes"]]]
    for kind, text in (("failed", "Failed"), ("left", "Not begun or not finished")):
        for cell in content[kind]:
            reason = f": {cell['reason']}" if "reason" in cell else ""
            lines.append(f"- {text}: {cell['name']}, seed {cell['seed']}{reason}")
    return "\n".join(lines) + "\n"


def to_csv(content: Mapping[str, Any]) -> str:
    """An arm a row, unrounded."""
    effects = {effect["arm"]: effect for effect in content["effects"]}
    own = ["name", "pictures", "mean", "spread", "n", "val_macro_f1", "seconds", "pictures_seen"]
    more = ["step", "difference", "low", "high", "pairs", "told"]
    rows = list(content["arms"])
    if content["inflation"]:
        rows.append(content["inflation"]["row"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*own, *more])
    for row in rows:
        effect = effects.get(row["name"], {})
        values = [row[key] for key in own] + [effect.get(key) for key in more]
        writer.writerow(["" if value is None else value for value in values])
    return text.getvalue()


def to_json(content: Mapping[str, Any]) -> str:
    """Everything, each cell included."""
    return json.dumps({"schema": SCHEMA, **content}, indent=1, ensure_ascii=False)
