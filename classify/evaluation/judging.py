"""From a folder of pictures and a weights file to scores, and the files that are handed in."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.data.items import decode
from classify.evaluation.leaks import Leaks, find_leaks
from classify.evaluation.scores import classification_report, measure, remarks, summary, uncertainty
from classify.labelled import LabelledPictures
from classify.matching import read_mapping
from classify.outputs import output_folder, write_all
from classify.prediction import PROBABILITY, default_device, predict
from classify.provenance import file_digest
from curate.engine import Progress, silent
from curate.errors import UserError
from curate.paths import path_to_text
from curate.words import counted, listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from PIL import Image

    from classify.weights import Classifier

SCHEMA = 2
"""Version of the layout of `metrics.json`."""

Draw = Callable[["NDArray[np.int64]", Sequence[str]], bytes]
Page = Callable[
    [Mapping[str, Any], "pd.DataFrame", bytes, Callable[[int], "Image.Image"], Sequence[str]], str
]
"""Metrics, predictions, the confusion matrix's PNG, the picture of a row, and the sentences said, to HTML."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    `predictions`: one row a scored picture, `path` (relative to the folder, or a place such as `t10k-images[17]`),
    `label`, `prediction`, `confidence`, `group` (int64: copies of each other share a number; where leaks were looked
    for) and `p:CLASS` (float32) for each class of the weights. `metrics`: what `metrics.json` holds. `report`:
    scikit-learn's classification report. `text`: the report with what is to be known about it, as printed. `out`: the
    folder where all of it was written.
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
    labels: str | Path | None = None,
    classes: str | Path | None = None,
    draw: Draw | None = None,
    page: Page | None = None,
    leaks: bool = True,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] | None = None,
) -> Evaluation:
    """Classify every picture of `folder` with the weights file `weights`, and score the result.

    `folder` holds class folders, or is a data set in a known layout (docs/data.md), of which the test part is taken.
    Folders, or labels, are matched to classes by name; what does not match is said and left out of the scores. `labels` is
    a CSV file of path and label for the pictures of a folder without class folders; `classes` one of folder and class
    where they are called otherwise than the weights' classes. Writes
    `metrics.json`, `predictions.parquet`, `confusion_matrix.csv`, `report.txt` and, where `draw` (a confusion matrix
    and its classes to a PNG's bytes) is given, `confusion_matrix.png`, with `page` also `evaluation.html`, to `out`, by default
    the folder `evaluation` beside the weights. With `leaks` it looks which test pictures are in the training set
    (docs/leaks.md). `device` is one of torch's, by default cuda where there is one. `say` is given each line for a
    person. Raises UserError where the folder, the weights or `out` will not do.
    """
    from classify import weights as weights_file

    if Path(folder).suffix == ".safetensors" and Path(weights).is_dir():
        raise UserError(
            f"{folder}: is a weights file, and {weights} is a folder.",
            f"The folder of test pictures comes first, then the weights: {weights} {folder}.",
        )
    classifier = weights_file.load(weights, device or default_device())
    mapping = read_mapping(classes, classifier.classes) if classes is not None else None
    found = LabelledPictures.open(folder, classifier.classes, labels=labels, mapping=mapping)
    place = Path(out) if out is not None else Path(weights).absolute().parent / "evaluation"
    lines: list[str] = []

    def tell(text: str) -> None:
        lines.append(text)
        if say is not None:
            say(text)

    with output_folder(place, found.root):
        for note in found.notes():
            tell(note)
        table = _predict(found, classifier, workers, progress)
        seen = _leaks(table, found, classifier, Path(weights), workers, progress) if leaks else None
        predictions, metrics, report = _judge(table, found, classifier, Path(weights), seen, tell)
        files = _files(predictions, metrics, lines, draw)
        if draw is not None and page is not None:
            items = dict(zip(found.paths, found.items, strict=True))

            def read(row: int) -> Image.Image:
                return decode(items[predictions["path"].iloc[row]], classifier.preprocessing)[0]

            said = [*found.notes(), *remarks(metrics, classifier.classes)]
            html = page(metrics, predictions, files["confusion_matrix.png"], read, said)
            files = {"evaluation.html": html.encode("utf-8", "backslashreplace"), **files}
        replaced = _other_there(place, metrics)
        write_all(place, files)
    if say is not None:
        say(f"\nWritten to {place}: {', '.join(files)}.{replaced}")
    return Evaluation(predictions, metrics, report, files["report.txt"].decode(), place)


def _other_there(place: Path, metrics: Mapping[str, Any]) -> str:
    """A sentence where `place` holds what other pictures or weights came to, which is about to be replaced."""
    try:
        before = json.loads((place / "metrics.json").read_text(encoding="utf-8"))
        of = f" of {before['folder']}" if before["folder"] != metrics["folder"] else ""
        by = ""
        if before["weights_sha256"] != metrics["weights_sha256"]:
            other = before["weights"] != metrics["weights"]
            by = f" by {before['weights']}" if other else " by these weights before they changed"
    except (OSError, ValueError, KeyError, TypeError):  # nothing there, or nothing of ours
        return ""
    if not (of or by):
        return ""
    return f"\nThey replace the evaluation{of}{by} that was there; --out DIR keeps the next one apart."


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
    classifier: Classifier,
    weights: Path,
    seen: Leaks | None,
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
    classes = classifier.classes
    columns = ["path", "label", "prediction", "confidence", *(PROBABILITY + name for name in classes)]
    predictions = table.loc[readable & known, columns].reset_index(drop=True)
    if seen is not None:
        predictions.insert(4, "group", seen.groups)
    scores = measure(predictions, classes) | uncertainty(predictions, classes, classifier.temperature)
    report = classification_report(predictions["label"].tolist(), predictions["prediction"].tolist())
    tell(
        f"\n{counted(len(predictions), 'picture', 'pictures')} of {counted(len(scores['per_class']), 'class', 'classes')} in "
        f"{found.root}, by {weights}\n"
    )
    tell(report)
    scores["leaks"] = None if seen is None else seen.measure(predictions, classes)
    for line in [*summary(scores, classes), *(seen.sentences(scores["leaks"], scores) if seen else [])]:
        tell(line)
    match = found.match
    metrics = {
        "schema": SCHEMA,
        "folder": path_to_text(str(found.root.absolute())),  # who reads them may stand elsewhere
        "weights": path_to_text(str(Path(weights).absolute())),
        "weights_sha256": file_digest(weights),
        **scores,
        "unreadable": unreadable[["path", "folder", "label", "reason", "detail"]].to_dict("records"),
        "folders": {
            "matched": match.labels,
            "respelled": match.respelled,
            "mapped": match.mapped,
            "dropped": match.dropped,
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


def _leaks(
    table: pd.DataFrame,
    found: LabelledPictures,
    classifier: Classifier,
    weights: Path,
    workers: int | None,
    progress: Progress,
) -> Leaks:
    """Which of the scored pictures, in the order of the predictions, are in the training set."""
    rows = np.flatnonzero((table["reason"] == "") & (table["label"] != ""))
    return find_leaks(
        [found.items[row] for row in rows],
        table["path"].iloc[rows].tolist(),
        table["label"].iloc[rows].tolist(),
        weights,
        classifier,
        workers=workers,
        progress=progress,
    )


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain data, for JSON."""
    return [
        {str(name): value if isinstance(value, str) else float(value) for name, value in row.items()}
        for row in frame.to_dict("records")
    ]


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
