"""A table of predictions to scores.

Every figure is scikit-learn's, over the classes that have test pictures. The definitions stand in docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.matching import listed
from classify.prediction import PROBABILITY

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

TOP = 5
"""k of the top-k accuracy, given where there are more classes than that."""

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
            f"{pair['label']} taken for {pair['prediction']} ({pair['count']:,}, {pair['share']:.0%} of its pictures)"
            for pair in scores["most_confused"][:5]
        ]
        lines.append(f"Most confused: {'; '.join(pairs)}.")
    return lines
