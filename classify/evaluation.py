"""How good a classifier is on a folder of pictures: predictions to metrics, and the files that are handed in.

Every figure is scikit-learn's, over the classes that have test pictures. The definitions stand in docs/evaluation.md.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.matching import LabelledPictures, counted, listed
from classify.prediction import PROBABILITY, default_device, predict
from curate.engine import Progress, silent
from curate.errors import UserError
from curate.tables import path_to_text
from curate.workspace import sync_folder

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from classify.weights import Classifier

SCHEMA = 1
"""Version of the layout of `metrics.json`."""

TOP = 5
"""k of the top-k accuracy, given where there are more classes than that."""

PAIRS = 20
"""Most confused pairs of classes that are listed."""

Draw = Callable[["NDArray[np.int64]", Sequence[str]], bytes]


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    `predictions`: one row a scored picture, `path` (relative to the folder, or a place such as `t10k-images[17]`), `label`, `prediction`, `confidence` and
    `p:CLASS` (float32) for each class of the weights. `metrics`: what `metrics.json` holds. `report`: scikit-learn's
    classification report. `text`: the report with what is to be known about it, as printed. `out`: the folder where
    all of it was written.
    """

    predictions: pd.DataFrame
    metrics: dict[str, Any]
    report: str
    text: str
    out: Path


def evaluate(
    folder: str | Path,
    weights: str | Path,
    *,
    out: str | Path | None = None,
    draw: Draw | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] | None = None,
) -> Evaluation:
    """Classify every picture of `folder` with the weights file `weights`, and score the result.

    `folder` holds class folders, or is a data set in a known layout (docs/data.md), of which the test part is taken.
    Folders, or labels, are matched to classes by name; what does not match is said and left out of the scores. Writes
    `metrics.json`, `predictions.parquet`, `confusion_matrix.csv`, `report.txt` and, where `draw` (a confusion matrix
    and its classes to a PNG's bytes) is given, `confusion_matrix.png` to `out`, by default the folder `evaluation`
    beside the weights. `device` is one of torch's, by default cuda where there is one. `say` is given each line for a
    person. Raises UserError where the folder, the weights or `out` will not do.
    """
    from classify import weights as weights_file

    classifier = weights_file.load(weights, device or default_device())
    found = LabelledPictures.open(folder, classifier.classes)
    place = Path(out) if out is not None else Path(weights).absolute().parent / "evaluation"
    lines: list[str] = []

    def tell(text: str) -> None:
        lines.append(text)
        if say is not None:
            say(text)

    with _output(place, found.root):
        for note in found.notes():
            tell(note)
        table = _predict(found, classifier, workers, progress)
        predictions, metrics, report = _judge(table, found, classifier.classes, Path(weights), tell)
        files = _files(predictions, metrics, lines, draw)
        _write_all(place, files)
    if say is not None:
        say(f"\nWritten to {place}: {', '.join(files)}.")
    return Evaluation(predictions, metrics, report, files["report.txt"].decode(), place)


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


# From a folder to its scores ------------------------------------------------------------------------------------


def _predict(
    found: LabelledPictures, classifier: Classifier, workers: int | None, progress: Progress
) -> pd.DataFrame:
    """What `predict` gives, behind the columns `path`, `folder` and `label`.

    `label` is empty for a folder that is no class. Raises UserError where nothing can be read.
    """
    table = predict(found.items, classifier, progress, workers=workers)
    table.insert(0, "path", found.paths)
    table.insert(1, "folder", found.folders)
    table.insert(2, "label", [found.match.labels.get(name, "") for name in found.folders])
    scorable = table["label"] != ""
    if not (scorable & (table["reason"] == "")).any():
        first = table[scorable].iloc[0]
        raise UserError(
            f"{found.root}: none of its {int(scorable.sum()):,} files can be read as a picture; the first is "
            f"{first['path']}: {first['detail']}.",
            "Check that these are pictures; of a folder `curate scan` says what is wrong with each file.",
        )
    return table


def _judge(
    table: pd.DataFrame,
    found: LabelledPictures,
    classes: Sequence[str],
    weights: Path,
    tell: Callable[[str], None],
) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Score what can be scored, name the rest, and tell it: the predictions, the metrics and the report."""
    import sklearn

    readable, known = table["reason"] == "", table["label"] != ""
    unreadable = table[~readable]
    if len(unreadable):
        shown = listed([f"{row.path} ({row.detail})" for row in unreadable.itertuples()])
        what = (
            "file cannot be read as a picture and is"
            if len(unreadable) == 1
            else "files cannot be read as pictures and are"
        )
        tell(f"{len(unreadable):,} {what} not scored: {shown}.")
    columns = ["path", "label", "prediction", "confidence", *(PROBABILITY + name for name in classes)]
    predictions = table.loc[readable & known, columns].reset_index(drop=True)
    scores = measure(predictions, classes)
    report = classification_report(predictions["label"].tolist(), predictions["prediction"].tolist())
    tell(
        f"\n{counted(len(predictions), 'picture', 'pictures')} of {counted(len(scores['per_class']), 'class', 'classes')} in "
        f"{found.root}, by {weights}\n"
    )
    tell(report)
    for line in summary(scores, classes):
        tell(line)
    match = found.match
    metrics = {
        "schema": SCHEMA,
        "folder": path_to_text(str(found.root)),
        "weights": path_to_text(str(weights)),
        **scores,
        "unreadable": unreadable[["path", "folder", "label", "reason", "detail"]].to_dict("records"),
        "folders": {
            "matched": match.labels,
            "respelled": match.respelled,
            "unknown": match.unknown,
            "ambiguous": match.ambiguous,
            "missing": match.missing,
            "empty": found.empty,
        },
        "classes_without_pictures": sorted(set(classes) - set(scores["per_class"])),
        "files_outside_class_folders": found.loose,
        "hidden": found.hidden,
        "unscored": _plain(table.loc[readable & ~known, ["path", "folder", "prediction", "confidence"]]),
        "scikit_learn": sklearn.__version__,
    }
    return predictions, metrics, report


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain data, for JSON."""
    return [
        {str(name): value if isinstance(value, str) else float(value) for name, value in row.items()}
        for row in frame.to_dict("records")
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


# Writing --------------------------------------------------------------------------------------------------------


def _files(
    predictions: pd.DataFrame, metrics: Mapping[str, Any], lines: Sequence[str], draw: Draw | None
) -> dict[str, bytes]:
    """The files to write: name to bytes, `metrics.json` last."""
    import pandas as pd

    stream = io.BytesIO()
    predictions.to_parquet(stream, index=False, compression="zstd")
    table = metrics["confusion_matrix"]
    names, matrix = table["classes"], np.array(table["counts"], dtype=np.int64)
    frame = pd.DataFrame(matrix, index=names, columns=names)
    files = {
        "predictions.parquet": stream.getvalue(),
        "confusion_matrix.csv": frame.to_csv(index_label="true class").encode(),
        "report.txt": ("\n".join(lines).strip("\n") + "\n").encode(),
    }
    if draw is not None:
        met = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
        files["confusion_matrix.png"] = draw(matrix[np.ix_(met, met)], [names[i] for i in met])
    files["metrics.json"] = json.dumps(metrics, indent=1, ensure_ascii=False).encode()
    return files


@contextlib.contextmanager
def _output(place: Path, root: Path) -> Iterator[None]:
    """Make the folder `place` and see that it can be written before the work begins; gone again if the work fails."""
    inside, around = place.resolve(), root.resolve()
    if inside == around or around in inside.parents:
        raise UserError(
            f"{place}: the results would lie inside the test folder.",
            "Give a place outside of it with --out.",
        )
    made = [parent for parent in (place, *place.parents) if not parent.exists()]
    try:
        try:
            place.mkdir(parents=True, exist_ok=True)
            probe = place / f".probe.{os.getpid()}.tmp"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"{place}: the results cannot be written there ({error.strerror or error}).",
                "Give another place with --out.",
            ) from error
        yield
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _write_all(place: Path, files: Mapping[str, bytes]) -> None:
    """Write all files beside their names first and rename them then, so that a full disk leaves what was there.

    Raises UserError where they cannot be written.
    """
    temporary = {name: place / f".{name}.{os.getpid()}.tmp" for name in files}
    try:
        for name, data in files.items():
            with temporary[name].open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for name in files:
            temporary[name].replace(place / name)
        sync_folder(place)
    except BaseException as error:
        for path in temporary.values():
            with contextlib.suppress(OSError):
                path.unlink()
        if not isinstance(error, OSError):
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise UserError(
            f"{place}: the results cannot be written ({error.strerror or error}).",
            "Make room, then run the same command again." if full else "Give another place with --out.",
        ) from error
