"""Classes of pictures that nobody has labelled: what `classify predict` answers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.prediction import PROBABILITY, default_device, predict_paths
from curate.engine import Progress, silent
from curate.errors import UserError
from curate.paths import path_from_text
from curate.walk import walk

if TYPE_CHECKING:
    import pandas as pd


def answer(
    pictures: Iterable[str | Path],
    weights: str | Path,
    *,
    top: int = 3,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> pd.DataFrame:
    """The most probable classes of each picture, by the weights file `weights`: one row a picture, in their order.

    `pictures` are files, and folders, which stand for the pictures below them, sorted. Columns: `path` (as text),
    `class_1`, `probability_1` (float32, 0..1) to `class_K`, `probability_K`, the most probable first, K = `top` or the
    number of classes where that is fewer; `fault`: why a file cannot be read (its classes are then "", its numbers NaN),
    else "". Pictures are read and averaged over views as `classify.evaluate` does it. `device` is one of torch's, by
    default cuda where there is one. Raises UserError where there is no picture, none can be read, or the weights will
    not do.
    """
    import pandas as pd

    from classify import weights as weights_file

    if top < 1:
        raise UserError(
            f"top is {top}; it must be 1 or more.", "It is how many classes are named for a picture."
        )
    paths = picture_files(pictures)
    classifier = weights_file.load(weights, device or default_device())
    table = predict_paths(paths, classifier, progress, workers=workers)
    if (table.reason != "").all():
        raise UserError(
            f"{table.path[0]}: cannot be read ({table.detail[0]})"
            + (f", and so it is with all {len(table)} files." if len(table) > 1 else "."),
            "Give pictures, or folders that hold some.",
        )
    belief = table[[PROBABILITY + name for name in classifier.classes]].to_numpy()
    order = np.argsort(-np.nan_to_num(belief), axis=1, kind="stable")[:, :top]
    read = (table.reason == "").to_numpy()
    names = np.array(classifier.classes, dtype=object)
    columns: dict[str, Any] = {"path": table.path}
    for place in range(order.shape[1]):
        columns[f"class_{place + 1}"] = np.where(read, names[order[:, place]], "")
        columns[f"probability_{place + 1}"] = belief[np.arange(len(belief)), order[:, place]]
    return pd.DataFrame({**columns, "fault": table.detail})


def picture_files(pictures: Iterable[str | Path]) -> list[str]:
    """Paths of the files given and of those below the folders given. Raises UserError where there are none."""
    found: list[str] = []
    folders: list[str] = []
    for path in (os.fspath(picture) for picture in pictures):
        if os.path.isdir(path):  # noqa: PTH112  a path of any bytes
            folders.append(path)
            found += [os.path.join(path, path_from_text(below)) for below, _, _ in walk(path).files]  # noqa: PTH118
        else:
            found.append(path)
    if not found:
        where = f"{', '.join(folders)}: " if folders else ""
        raise UserError(
            f"{where}there is no picture to classify.", "Give pictures, or folders that hold some."
        )
    return found


def as_records(answers: pd.DataFrame) -> list[dict[str, Any]]:
    """What `answer` gave, one object a picture: `path`, `classes` (a list of `class` and `probability`), `fault` (or None)."""
    places = range(1, 1 + sum(str(name).startswith("class_") for name in answers.columns))
    return [
        {
            "path": row["path"],
            "classes": []
            if row["fault"]
            else [
                {"class": row[f"class_{place}"], "probability": round(float(row[f"probability_{place}"]), 6)}
                for place in places
            ],
            "fault": row["fault"] or None,
        }
        for row in answers.to_dict("records")
    ]


def as_rows(answers: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """The same for people: picture, its class, probability, and what comes next or why it cannot be read."""
    rows = []
    for record in as_records(answers):
        told = [(one["class"], f"{one['probability']:.3f}") for one in record["classes"]]
        best = told[0] if told else ("", "")
        rest = ", ".join(" ".join(one) for one in told[1:]) if told else f"cannot be read: {record['fault']}"
        rows.append((record["path"], *best, rest))
    return rows


def as_csv(answers: pd.DataFrame) -> str:
    """What `answer` gave as CSV, six decimals."""
    text: str = answers.to_csv(index=False, float_format="%.6f", lineterminator="\n")
    return text


def as_json_lines(answers: pd.DataFrame) -> str:
    """The objects of `as_records` as JSON, one a line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in as_records(answers))
