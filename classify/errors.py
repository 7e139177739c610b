"""Every picture that an evaluation found wrong: truth, prediction, how sure it was, and where it looked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.data.items import Item
from classify.evaluation.originals import originals
from classify.outputs import DrawGroups, output_folder, write_all
from classify.prediction import PROBABILITY, default_device, probability_columns, read_picture
from classify.weights import Classifier, Preprocessing
from curate.engine import Progress, silent
from curate.errors import UserError
from curate.images import Unreadable
from curate.paths import path_from_text
from curate.words import counted

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

SCHEMA = 1
"""Version of the layout of `errors.json`."""

SURE = 0.9
"""Confidence from which a wrong picture is worth a look at its label."""

_MOST = 24
"""Wrong pictures of a class that the page shows; the table has all."""

_SHOWN = Preprocessing(160)

Look = Callable[["NDArray[np.uint8]", int], "NDArray[np.floating]"]
"""From a picture uint8 (S, S, 3) at the network's size and the index of a class: what spoke for it, (S, S), 0..1."""

Saliency = Callable[[Classifier], Look]


@dataclass(frozen=True)
class Errors:
    """What `find_errors` found.

    `table`: one row a wrong picture, class by class, the worst first: `path`, `label`, `prediction`, `confidence`
    (probability of the prediction), `p_label` (that of the label) and `margin` (the difference, 0..1). `groups`: for a
    page, one a class that has errors: `title`, `pictures` (each `picture` uint8 (S, S, 3) or None, `saliency` float (S, S) or None,
    `tag`, `text`, `path`) and `more`, how many are not shown. `sentences`: for people. `out`: where it was written.
    """

    table: pd.DataFrame
    groups: list[dict[str, Any]]
    sentences: list[str]
    out: Path


def find_errors(
    evaluation: str | Path,
    out: str | Path | None = None,
    *,
    saliency: Saliency | None = None,
    draw: DrawGroups | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda text: None,
) -> Errors:
    """List the wrong pictures of the folder that `classify.evaluate` wrote; `errors.csv` and `errors.json` go to `out`.

    `out` is by default the evaluation's own folder. Where `draw` is given, `errors.html` shows the worst of each class,
    with `saliency` beside what spoke for the prediction; a picture that is no longer there is named without being shown.
    Raises UserError where the folder is no evaluation.
    """
    place = Path(evaluation)
    predictions, metrics = _read(place)
    table = wrong(predictions)
    sentences = _sentences(table, len(predictions))
    for sentence in sentences:
        say(sentence)
    folder = Path(path_from_text(metrics["folder"]))
    target = Path(out) if out is not None else place
    with output_folder(target, folder):
        groups: list[dict[str, Any]] = []
        if draw is not None and len(table):
            classes = [name.removeprefix(PROBABILITY) for name in probability_columns(predictions)]
            items, note = originals(metrics, table["path"].tolist(), classes)
            show, why = _shower(metrics, saliency)
            for sentence in filter(None, (note, why)):
                sentences.append(sentence)
                say(sentence)
            groups = _groups(table, items, show, progress)
        content = {
            "schema": SCHEMA,
            "folder": metrics["folder"],
            "weights": metrics["weights"],
            "pictures": len(predictions),
            "wrong": len(table),
            "per_class": {
                str(name): int(count) for name, count in table["label"].value_counts().sort_index().items()
            },
            "sure_and_wrong": int((table["confidence"] >= SURE).sum()),
        }
        files = {"errors.csv": table.to_csv(index=False, float_format="%.4f").encode()}
        if draw is not None:
            files["errors.html"] = draw(f"Wrong pictures of {folder.name}", sentences, groups).encode()
        files["errors.json"] = json.dumps(content, indent=1, ensure_ascii=False).encode()
        write_all(target, files)
    return Errors(table, groups, sentences, target)


def wrong(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows of `predictions.parquet` whose prediction is not the label, as the table of `Errors`."""
    rows = predictions[predictions["label"] != predictions["prediction"]].reset_index(drop=True)
    columns = probability_columns(rows)
    place = {name.removeprefix(PROBABILITY): index for index, name in enumerate(columns)}
    belief = rows[columns].to_numpy(np.float64)
    own = belief[np.arange(len(rows)), rows["label"].map(place).to_numpy(np.int64)]
    table = rows[["path", "label", "prediction", "confidence"]].assign(
        p_label=own, margin=rows["confidence"].to_numpy(np.float64) - own
    )
    return table.sort_values(["label", "margin", "path"], ascending=[True, False, True], ignore_index=True)


_REMEDY = "Give the folder that `classify evaluate` wrote, such as RUN/evaluation."


def _read(place: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Predictions and metrics of an evaluation. Raises UserError where `place` holds none, or a damaged one."""
    import pandas as pd

    inside = place / "evaluation"
    remedy = f"Give the folder in it, {inside}." if inside.is_dir() else _REMEDY
    if not place.is_dir():
        raise UserError(f"{place}: there is no such folder.", remedy)
    for name in ("predictions.parquet", "metrics.json"):
        if not (place / name).is_file():
            raise UserError(f"{place}: is no evaluation: {name} is missing.", remedy)
    try:
        predictions = pd.read_parquet(place / "predictions.parquet")
        metrics = json.loads((place / "metrics.json").read_text(encoding="utf-8"))
        if not isinstance(metrics, dict):
            raise TypeError("metrics.json holds no object")
        needed = {"path", "label", "prediction", "confidence"} - set(predictions)
        needed |= {name for name in ("folder", "weights") if not isinstance(metrics.get(name), str)}
        needed |= {PROBABILITY + name for name in predictions.get("label", [])} - set(predictions)
    except (OSError, ValueError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{place}: the evaluation cannot be read ({reason}).", "Evaluate anew.") from error
    if needed:
        raise UserError(f"{place}: the evaluation lacks {', '.join(sorted(needed))}.", "Evaluate anew.")
    return predictions, metrics


def _sentences(table: pd.DataFrame, pictures: int) -> list[str]:
    if table.empty:
        return [f"None of {counted(pictures, 'picture is', 'pictures are')} wrong."]
    sentences = [
        f"{len(table):,} of {counted(pictures, 'picture is', 'pictures are')} wrong ({len(table) / pictures:.1%})."
    ]
    if sure := int((table["confidence"] >= SURE).sum()):
        sentences.append(
            f"Of {sure:,} of them the classifier was sure ({SURE:.0%} or more): look at those first, for "
            "it may be the label that is wrong."
        )
    return sentences


Shown = tuple["NDArray[np.uint8] | None", "NDArray[np.floating] | None"]


def _shower(
    metrics: Mapping[str, Any], saliency: Saliency | None
) -> tuple[Callable[[Item | None, str], Shown], str]:
    """A function that gives a picture, and how much each place spoke for a class in it; or why the latter cannot be had."""

    def plain(item: Item | None, prediction: str) -> Shown:
        return _picture(item, _SHOWN), None

    if saliency is None:
        return plain, ""
    from classify import weights
    from classify.provenance import file_digest

    file = path_from_text(metrics["weights"])
    try:
        classifier = weights.load(file, default_device())
        if metrics.get("weights_sha256", "") not in ("", file_digest(Path(file))):
            raise UserError(f"{metrics['weights']}: has changed since.", "Evaluate anew.")
        look = saliency(classifier)
    except UserError as error:
        return plain, f"Where the network looked is not shown. {error.message} {error.remedy}"

    def show(item: Item | None, prediction: str) -> Shown:
        picture = _picture(item, classifier.preprocessing)
        if picture is None:
            return None, None
        return picture, look(picture, classifier.classes.index(prediction))

    return show, ""


def _picture(item: Item | None, preprocessing: Preprocessing) -> NDArray[np.uint8] | None:
    try:
        return None if item is None else read_picture(item, preprocessing)
    except Unreadable:
        return None


def _groups(
    table: pd.DataFrame,
    items: Mapping[str, Item],
    show: Callable[[Item | None, str], Shown],
    progress: Progress,
) -> list[dict[str, Any]]:
    """The worst of each class for the page, see `Errors`."""
    groups: list[dict[str, Any]] = []
    total = int(table.groupby("label").size().clip(upper=_MOST).sum())
    done = 0
    for label, rows in table.groupby("label", sort=True):
        pictures = []
        for row in rows.head(_MOST).to_dict("records"):
            picture, seen = show(items.get(row["path"]), row["prediction"])
            text = f"{row['confidence']:.0%} sure; {row['label']} {row['p_label']:.0%}"
            pictures.append(
                {
                    "picture": picture,
                    "saliency": seen,
                    "tag": row["prediction"],
                    "text": text,
                    "path": row["path"],
                }
            )
            done += 1
            progress(done, total)
        groups.append(
            {
                "title": f"{label}: {len(rows):,} wrong",
                "pictures": pictures,
                "more": max(0, len(rows) - _MOST),
            }
        )
    return groups
