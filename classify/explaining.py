"""What in its pictures a classifier goes by: saliency maps of the predicted and the true class, drawn and summed up."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classify.answers import picture_files
from classify.data.readers.table import read_csv
from classify.matching import match_classes
from classify.outputs import output_folder, write_all
from classify.prediction import PROBABILITY, default_device, predict_paths, read_picture
from classify.saliency import find_layer, saliency
from curate.engine import Progress, silent
from curate.errors import UserError
from curate.paths import path_from_text, path_to_text
from curate.words import counted, listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from classify.saliency import MapLayer
    from classify.weights import Classifier

SCHEMA = 1
"""Version of the layout of `explain.json`."""

MOST = 1000
"""Pictures in one call: more than a person looks through."""

ROWS = 20
"""Pictures on a sheet."""

WRONG, RIGHT, UNKNOWN = "Wrong", "Right", "True class not known"
"""Headings, in the order of the sheets."""

HIGH = 0.5
"""Where the map is at least this, a place counts as salient; the highest is 1."""

Row = tuple[str, str, "NDArray[np.uint8]", Sequence["NDArray[np.float32]"]]
Draw = Callable[[str, Mapping[str, Sequence[Row]]], bytes]


@dataclass(frozen=True)
class Explanation:
    """What `explain` found. `content`: what `explain.json` holds. `sheets`: the PNG files in `out`."""

    content: dict[str, Any]
    sheets: list[Path]
    out: Path


def explain(
    weights: str | Path,
    pictures: Iterable[str | Path],
    *,
    out: str | Path | None = None,
    labels: str | Path | None = None,
    draw: Draw | None = None,
    device: str | None = None,
    workers: int | None = None,
    progress: Progress = silent,
) -> Explanation:
    """Map what in each picture speaks for its predicted class, and for its true class where that is another.

    `pictures` are files, and folders, which stand for the pictures below them. The true class is what the CSV file
    `labels` (columns path and label, paths relative to it) says, else the name of the picture's folder where that is a
    class. Writes `explain.json` and, where `draw` (a title and rows to a PNG's bytes) is given, sheets
    `explain-001.png` and so on with the mistakes first, to `out`, by default the folder `explanation` beside the
    weights. The maps are of the pictures as they are; the probabilities are means over views, as in
    `classify.evaluate`. Raises UserError where the weights, the pictures, `labels` or `out` will not do, or grad-cam is
    not installed.
    """
    from classify import weights as weights_file

    given = [os.fspath(picture) for picture in pictures]
    paths = picture_files(given)
    if len(paths) > MOST:
        raise UserError(
            f"{len(paths):,} pictures are more than anybody looks through; {MOST:,} are drawn at most.",
            "Give fewer: some files, or a folder with a choice of them.",
        )
    classifier = weights_file.load(weights, device or default_device())
    truth = _truths(paths, classifier.classes, labels)
    layer = find_layer(classifier)
    place = Path(out) if out is not None else Path(weights).absolute().parent / "explanation"
    with contextlib.ExitStack() as stack:
        for folder in [Path(one) for one in given if os.path.isdir(one)] or [Path(weights)]:  # noqa: PTH112
            stack.enter_context(output_folder(place, folder))
        table = predict_paths(paths, classifier, workers=workers)
        table["truth"] = truth
        if (table["reason"] != "").all():
            raise UserError(
                f"{paths[0]}: cannot be read ({table['detail'].iloc[0]})"
                + (f", and so it is with all {len(paths)} files." if len(paths) > 1 else "."),
                "Give pictures, or folders that hold some.",
            )
        files, records = _explained(table, classifier, layer, draw, progress)
        content = _content(table, weights, classifier, layer, records)
        files["explain.json"] = json.dumps(content, indent=1, ensure_ascii=False).encode()
        write_all(place, files)
        for sheet in place.glob("explain-*.png"):  # of an earlier call with more pictures
            if sheet.name not in files:
                sheet.unlink()
    return Explanation(content, [place / name for name in files if name.endswith(".png")], place)


def _truths(paths: Sequence[str], classes: Sequence[str], labels: str | Path | None) -> list[str]:
    """The true class of each picture, "" where it is not known. Raises UserError where `labels` will not do."""
    if labels is None:
        folders = [path_to_text(os.path.basename(os.path.dirname(os.path.abspath(path)))) for path in paths]  # noqa: PTH100, PTH119, PTH120
        match = match_classes(sorted(set(folders)), classes).labels
        return [match.get(folder, "") for folder in folders]
    source = read_csv(Path(labels), "test")
    if source is None:
        raise UserError(
            f"{labels}: is no CSV file.", "Give a .csv file with the columns path and label with --labels."
        )
    match = match_classes(sorted(set(source.labels)), classes).labels
    if not match:
        raise UserError(
            f"{labels}: none of its labels is a class of the weights. Its labels: {listed(sorted(set(source.labels)))}.",
            f"The weights' classes: {listed(sorted(classes))}.",
        )
    known = {
        os.path.realpath(str(item)): match.get(label, "")
        for item, label in zip(source.items, source.labels, strict=True)
    }
    return [known.get(os.path.realpath(path), "") for path in paths]


def _explained(
    table: pd.DataFrame, classifier: Classifier, layer: MapLayer, draw: Draw | None, progress: Progress
) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The sheets by name, and a record a picture; mistakes first, then what is right, each with the surest first."""
    rows = table[table["reason"] == ""].assign(heading=lambda frame: [
        UNKNOWN if not truth else RIGHT if truth == guess else WRONG
        for truth, guess in zip(frame["truth"], frame["prediction"], strict=True)
    ])  # fmt: skip
    rows["order"] = rows["heading"].map([WRONG, RIGHT, UNKNOWN].index)
    rows = rows.sort_values(["order", "confidence"], ascending=[True, False], kind="stable")
    files: dict[str, bytes] = {}
    records: list[dict[str, Any]] = []
    sheet: dict[str, list[Row]] = {}
    progress(0, len(rows))
    for done, row in enumerate(rows.to_dict("records"), start=1):
        image = read_picture(path_from_text(row["path"]), classifier.preprocessing)
        named = dict.fromkeys([row["prediction"], row["truth"] or row["prediction"]])
        maps = [saliency(classifier, image, classifier.classes.index(name), layer) for name in named]
        records.append(_record(row, dict(zip(named, maps, strict=True))))
        sheet.setdefault(row["heading"], []).append((row["path"], _about(row), image, maps))
        progress(done, len(rows))
        if draw is not None and (done % ROWS == 0 or done == len(rows)):
            number = len(files) + 1
            files[f"explain-{number:03}.png"] = draw(
                f"What speaks for the class: Grad-CAM, {layer.side} x {layer.side} places", sheet
            )
            sheet = {}
    return files, records


def _about(row: Mapping[Hashable, Any]) -> str:
    """The lines beside a picture."""
    lines = [f"predicted {row['prediction']} {row['confidence']:.2f}"]
    if row["truth"] and row["truth"] != row["prediction"]:
        lines.append(f"true class {row['truth']} {row[PROBABILITY + row['truth']]:.2f}")
    return "\n".join(lines)


def _record(row: Mapping[Hashable, Any], maps: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
    return {
        "path": row["path"],
        "prediction": row["prediction"],
        "truth": row["truth"] or None,
        "maps": [
            {"class": name, "probability": float(row[PROBABILITY + name]), **summary(one)}
            for name, one in maps.items()
        ],
    }


def summary(saliency_map: NDArray[np.float32]) -> dict[str, Any]:
    """A map float32 (S, S) in a few figures, for JSON.

    `centre`: its centre of mass, [x, y] as shares of the side from the left and the top, None where the map is all 0;
    `area`: the share of the picture where it is at least `HIGH`.
    """
    total = float(saliency_map.sum())
    places = (np.arange(len(saliency_map)) + 0.5) / len(saliency_map)
    centre = [round(float((saliency_map.sum(axis) * places).sum()) / total, 4) for axis in (0, 1)] if total else None  # fmt: skip
    return {"centre": centre, "area": round(float((saliency_map >= HIGH).mean()), 4)}


def _content(
    table: pd.DataFrame,
    weights: str | Path,
    classifier: Classifier,
    layer: MapLayer,
    records: list[dict[str, Any]],
) -> dict[str, Any]:
    unreadable = table[table["reason"] != ""]
    return {
        "schema": SCHEMA,
        "weights": path_to_text(str(weights)),
        "method": "Grad-CAM",
        "layer": {"name": layer.name, "layout": layer.layout, "side": layer.side},
        "size": classifier.preprocessing.size,
        "pictures": records,
        "unreadable": unreadable[["path", "reason", "detail"]].to_dict("records"),
    }


def sentences(content: Mapping[str, Any]) -> list[str]:
    """What was drawn, in words, and what to make of it."""
    records, side = content["pictures"], content["layer"]["side"]
    known = [one for one in records if one["truth"]]
    wrong = sum(one["truth"] != one["prediction"] for one in known)
    said = [
        f"{counted(len(records), 'picture', 'pictures')}; {len(known):,} with a known class, {wrong:,} of them wrong.",
        f"The maps are those of layer {content['layer']['name']}: {side} x {side} places over {content['size']} pixels.",
    ]
    empty = sum(one["centre"] is None for record in records for one in record["maps"])
    if empty:
        said.append(f"{counted(empty, 'map is', 'maps are')} empty: nothing speaks for that class.")
    said.append("A map says where the classifier looks, not what it sees there: see docs/explain.md.")
    return said
