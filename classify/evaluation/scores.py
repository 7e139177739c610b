"""A table of predictions to scores.

Every figure is scikit-learn's, over the classes that have test pictures. The definitions stand in docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.calibration import calibrated, reliability
from classify.evaluation.intervals import LEVEL, RESAMPLES, intervals
from classify.prediction import PROBABILITY
from curate.words import counted, listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

TOP = 5
"""k of the top-k accuracy, given where there are more classes than that."""

_FEW = 3
"""Test pictures of a class below which no interval has been tried (docs/evaluation.md)."""

PAIRS = 20
"""Most confused pairs of classes that are listed."""


def classification_report(labels: Sequence[str], predictions: Sequence[str]) -> str:
    """scikit-learn's `classification_report(labels, predictions, labels=present)`, unchanged.

    `present` are the classes that occur in `labels`, sorted. Where predictions name no other class this is what the
    call without `labels` gives too, and its micro average is the line `accuracy`.
    """
    from sklearn import metrics

    text: str = metrics.classification_report(
        list(labels), list(predictions), labels=sorted(set(labels)), zero_division=0
    )
    return text


def measure(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
    """The scores of a predictions table (see `Evaluation`); every number is plain data, for JSON.

    Precision, recall and F1 are averaged over the classes that have test pictures: `macro` their mean, `weighted` by
    support, `micro` from the summed counts. Balanced accuracy is the mean recall of the same classes. The top-k
    accuracy is there where `classes` are more than k = 5. Raises ValueError where there are no rows.
    """
    if predictions.empty:
        raise ValueError("predictions: no rows")
    from sklearn.metrics import precision_recall_fscore_support

    truth, guess = predictions["label"].tolist(), predictions["prediction"].tolist()
    present = sorted(set(truth))
    scores: dict[str, Any] = {
        "pictures": len(truth),
        "accuracy": float(np.mean([a == b for a, b in zip(truth, guess, strict=True)])),
    }
    for average in ("macro", "micro", "weighted"):
        values = precision_recall_fscore_support(
            truth, guess, labels=present, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), values[:3], strict=True):
            scores[f"{average}_{name}"] = float(value)
    scores["balanced_accuracy"] = scores["macro_recall"]
    if len(classes) > TOP:
        scores[f"top_{TOP}_accuracy"] = _top(predictions, classes, TOP)
    values = precision_recall_fscore_support(truth, guess, labels=present, average=None, zero_division=0)
    scores["per_class"] = {
        name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for name, p, r, f, n in zip(present, *values, strict=True)
    }
    names, matrix = confusion(predictions, classes)
    scores["confusion_matrix"] = {"classes": names, "counts": matrix.tolist()}
    scores["most_confused"] = _most_confused(matrix, names)
    return scores


def confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """`classes` sorted, and int64 (C, C): pictures by true class (row) and predicted class (column)."""
    names = sorted(classes)
    place = {name: i for i, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(
        matrix,
        (predictions["label"].map(place).to_numpy(), predictions["prediction"].map(place).to_numpy()),
        1,
    )
    return names, matrix


def _top(predictions: pd.DataFrame, classes: Sequence[str], k: int) -> float:
    """Share of the pictures whose class is among the `k` most probable; of equal ones the first in `classes` leads."""
    belief = predictions[[PROBABILITY + name for name in classes]].to_numpy()
    place = {name: i for i, name in enumerate(classes)}
    truth = predictions["label"].map(place).to_numpy()
    leaders = np.argsort(-belief, axis=1, kind="stable")[:, :k]
    return float((leaders == truth[:, None]).any(axis=1).mean())


def _most_confused(matrix: NDArray[np.int64], names: Sequence[str]) -> list[dict[str, Any]]:
    """Ordered pairs of classes with the most mistakes: how many, and what share of the true class."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    cells = sorted(np.argwhere(wrong > 0).tolist(), key=lambda cell: (-wrong[tuple(cell)], cell))
    return [
        {
            "label": names[row],
            "prediction": names[column],
            "count": int(wrong[row, column]),
            "share": float(wrong[row, column] / matrix[row].sum()),
        }
        for row, column in cells[:PAIRS]
    ]


def uncertainty(
    predictions: pd.DataFrame, classes: Sequence[str], temperature: float = 1.0
) -> dict[str, Any]:
    """How far the scores of a predictions table can be believed, and its beliefs; plain data, for JSON.

    `intervals` (see `classify.evaluation.intervals`): 95 % intervals of the overall scores and of each class, by `group`;
    `calibration` (see `classify.calibration`): the expected calibration error, what it were without `temperature`, and
    the reliability in bins. Raises ValueError where there are no rows.
    """
    if predictions.empty:
        raise ValueError("predictions: no rows")
    present = sorted(set(predictions["label"]))
    place = {name: i for i, name in enumerate([*present, *sorted(set(classes) - set(present))])}
    labels, guesses = (
        predictions[column].map(place).to_numpy(np.int64) for column in ("label", "prediction")
    )
    found = intervals(labels, guesses, predictions["group"].to_numpy() if "group" in predictions else None)
    belief = predictions[[PROBABILITY + name for name in classes]].to_numpy(np.float32)
    right = labels == guesses
    own = reliability(belief.max(axis=1), right)
    raw = reliability(calibrated(belief, 1 / temperature).max(axis=1), right)
    return {
        "intervals": {
            "level": LEVEL,
            "resamples": RESAMPLES,
            "groups": found.groups,
            **{name: list(getattr(found, name)) for name in ("accuracy", "macro_f1", "balanced_accuracy")},
            "per_class": {
                name: {what: getattr(found, what)[i].tolist() for what in ("precision", "recall", "f1")}
                for i, name in enumerate(present)
            },
        },
        "calibration": {
            "temperature": temperature,
            "ece": own.ece,
            "ece_without_temperature": raw.ece,
            "bins": [
                {"low": low, "high": high, "pictures": count, "confidence": mean, "accuracy": share}
                for low, high, count, mean, share in zip(
                    own.edges[:-1].tolist(),
                    own.edges[1:].tolist(),
                    own.counts.tolist(),
                    own.confidence.tolist(),
                    own.accuracy.tolist(),
                    strict=True,
                )
                if count
            ],
        },
    }


def summary(scores: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """The lines below the report: what scikit-learn leaves out, and over which classes the averages are."""
    figures = [
        f"accuracy {scores['accuracy']:.4f}",
        f"macro-F1 {scores['macro_f1']:.4f}",
        f"micro-F1 {scores['micro_f1']:.4f}",
        f"weighted F1 {scores['weighted_f1']:.4f}",
        f"balanced accuracy {scores['balanced_accuracy']:.4f}",
    ]
    if f"top_{TOP}_accuracy" in scores:
        figures.append(f"top-{TOP} accuracy {scores[f'top_{TOP}_accuracy']:.4f}")
    lines = [", ".join(figures)]
    if "intervals" in scores:
        lines += _doubts(scores["intervals"], scores["calibration"], scores["pictures"])
    return [*lines, *remarks(scores, classes)]


def remarks(scores: Mapping[str, Any], classes: Sequence[str]) -> list[str]:
    """Sentences on classes with hardly a picture or none, and on what is confused."""
    lines = []
    few = sorted(name for name, row in scores["per_class"].items() if row["support"] < _FEW)
    if few and "intervals" in scores:
        lines.append(
            f"{counted(len(few), 'class has', 'classes have')} fewer than {_FEW} test pictures: {listed(few)}. "
            "Do not rely on the intervals."
        )
    absent = sorted(set(classes) - set(scores["per_class"]))
    if absent:
        lines.append(
            f"The averages are over the {len(scores['per_class'])} of {len(classes)} classes that have test pictures; "
            f"without: {listed(absent)}."
        )
        table = scores["confusion_matrix"]
        columns = [table["classes"].index(name) for name in absent]
        strays = int(np.array(table["counts"])[:, columns].sum())
        if strays:
            were = "picture was" if strays == 1 else "pictures were"
            lines.append(f"{strays:,} {were} taken for a class without test pictures: wrong, and counted so.")
    if scores["most_confused"]:
        pairs = [
            f"{pair['label']} taken for {pair['prediction']} ({pair['count']:,}, {_share(pair['share'])} of its pictures)"
            for pair in scores["most_confused"][:5]
        ]
        lines.append(f"Most confused: {'; '.join(pairs)}.")
    return lines


def _share(share: float) -> str:
    """A share as per cent, with a decimal where it would be less than one."""
    return f"{share:.1%}" if share < 0.01 else f"{share:.0%}"


def _doubts(found: Mapping[str, Any], belief: Mapping[str, Any], pictures: int) -> list[str]:
    """Intervals and calibration in words."""
    ends = {name: "{:.3f} to {:.3f}".format(*found[name]) for name in ("accuracy", "macro_f1")}
    of = f", copies of a picture counted once: {found['groups']:,} of {pictures:,}"
    lines = [
        f"{found['level']:.0%} intervals: accuracy {ends['accuracy']}, macro-F1 {ends['macro_f1']}"
        f"{of if found['groups'] < pictures else ''}."
    ]
    error, raw, temperature = belief["ece"], belief["ece_without_temperature"], belief["temperature"]
    told = f"Confidence is off by {error:.3f} on average (expected calibration error"
    if temperature == 1:
        return [*lines, f"{told}; no temperature was fitted)."]
    helped = "" if error <= raw else ": here the temperature does not help"
    return [*lines, f"{told}; without the temperature {temperature:.2f}: {raw:.3f}){helped}."]
