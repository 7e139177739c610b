"""From two evaluations to their comparison: the tables read, the sentences, and the files that are handed in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classify.evaluation.comparison import compare_predictions, flips, pair
from classify.evaluation.intervals import LEVEL
from classify.evaluation.originals import originals
from classify.outputs import output_folder, write_all
from classify.prediction import PROBABILITY, probability_columns, read_picture
from classify.weights import Preprocessing
from curate.errors import UserError
from curate.images import Unreadable
from curate.paths import path_from_text, path_to_text
from curate.words import counted, listed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from classify.data.items import Item

SCHEMA = 1
"""Version of the layout of `comparison.json`."""

FEW = 10
"""Test pictures (groups of copies) below which a class's interval is not to be relied upon."""

SHOWN = 20
"""Classes in the printed table, those with the largest differences."""

Page = Callable[
    [
        Mapping[str, Any],
        Sequence[str],
        Sequence[Sequence[Any]],
        Sequence[Sequence[Any]],
        "pd.DataFrame",
        Callable[[str], "NDArray[np.uint8] | None"],
    ],
    str,
]
"""Figures, sentences, the rows of both tables, the flips, and the picture at a path, to HTML."""

_PICTURE = Preprocessing(160)
"""How the page's pictures are read."""

_COLUMNS = ("path", "label", "prediction", "confidence")
_MEASURES = {"macro_f1": "macro-F1", "accuracy": "accuracy"}


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    `figures`: what `comparison.json` holds. `flips`: one row a picture that the two predict differently, see
    `classify.evaluation.comparison.flips`. `sentences`: what it comes to in words. `out`: the folder where all of it
    was written.
    """

    figures: dict[str, Any]
    flips: pd.DataFrame
    sentences: list[str]
    out: Path


@dataclass(frozen=True)
class _Evaluated:
    """A predictions table, its place, and what `metrics.json` beside it says (nothing where there is none)."""

    file: Path
    table: pd.DataFrame
    metrics: dict[str, Any]


def compare(
    a: str | Path,
    b: str | Path,
    *,
    out: str | Path | None = None,
    page: Page | None = None,
    say: Callable[[str], None] | None = None,
) -> Comparison:
    """Compare two classifiers on the same test pictures, B to A: is the difference more than noise?

    `a` and `b` are folders that `classify evaluate` wrote, or the `predictions.parquet` in them. Writes
    `comparison.json`, `flips.csv` and, where `page` is given, `comparison.html` to `out`, by default the folder `comparison`
    beside B's predictions. `say` is given each sentence. Raises UserError where one cannot be read or `out` will not do, and
    Refused where the test pictures or their labels are not the same.
    """
    first, second = _read(Path(a), "A"), _read(Path(b), "B")
    place = Path(out) if out is not None else second.file.parent / "comparison"
    pairs = pair(first.table, second.table)
    tested = next((one.metrics for one in (second, first) if "folder" in one.metrics), {})
    with output_folder(place, Path(path_from_text(tested["folder"])) if tested else second.file):
        figures = {
            "schema": SCHEMA,
            **{
                name: {
                    "predictions": path_to_text(str(one.file)),
                    "weights": one.metrics.get("weights"),
                    "folder": one.metrics.get("folder"),
                }
                for name, one in (("a", first), ("b", second))
            },
            **compare_predictions(pairs),
        }
        words = sentences(figures)
        changed = flips(pairs)
        files = {"flips.csv": changed.to_csv(index=False, float_format="%.6f", lineterminator="\n").encode()}
        if page is not None:
            read, why = _reader(tested, changed, second)
            said = [*words, why] if why else words
            html = page(figures, said, overall_rows(figures), class_rows(figures), changed, read)
            files["comparison.html"] = html.encode("utf-8", "backslashreplace")
        content = {**figures, "sentences": words}
        files["comparison.json"] = json.dumps(content, indent=1, ensure_ascii=False).encode()
        write_all(place, files)
    if say is not None:
        for sentence in words:
            say(sentence)
    return Comparison(figures, changed, words, place)


def _reader(
    tested: Mapping[str, Any], changed: pd.DataFrame, evaluated: _Evaluated
) -> tuple[Callable[[str], NDArray[np.uint8] | None], str]:
    """What gives the picture at a path, and "" or why there are none; `tested` are the metrics that name the folder."""
    found: dict[str, Item] = {}
    why = "The pictures are not shown: no metrics.json beside the predictions says where they are."
    if tested:
        classes = [name.removeprefix(PROBABILITY) for name in probability_columns(evaluated.table)]
        found, why = originals(tested, changed["path"].tolist(), classes)

    def read(path: str) -> NDArray[np.uint8] | None:
        try:
            return read_picture(found[path], _PICTURE)
        except (KeyError, Unreadable):  # gone or changed since it was judged
            return None

    return read, why if len(changed) else ""


def _read(place: Path, name: str) -> _Evaluated:
    """An evaluation by its folder or its predictions. Raises UserError."""
    import pandas as pd
    import pyarrow

    remedy = "Give a folder that `classify evaluate` wrote, or the predictions.parquet in it."
    if (inside := place / "evaluation").is_dir():
        remedy = f"Give the folder in it, {inside}."
    file = place / "predictions.parquet" if place.is_dir() else place
    if not file.exists():
        what = "holds no predictions.parquet" if place.is_dir() else "there is no such file or folder"
        raise UserError(f"{name}, {place}: {what}.", remedy)
    try:
        table = pd.read_parquet(file)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"{name}, {file}: cannot be read as a Parquet file ({reason}).", remedy) from error
    missing = [column for column in _COLUMNS if column not in table]
    if missing:
        raise UserError(f"{name}, {file}: is no table of predictions, it lacks {listed(missing)}.", remedy)
    beside = file.with_name("metrics.json")
    try:
        metrics = json.loads(beside.read_bytes()) if beside.exists() else {}
        if not isinstance(metrics, dict) or not isinstance(metrics.get("folder", ""), str):
            raise ValueError("it is no record of an evaluation")
    except (OSError, ValueError) as error:
        raise UserError(f"{name}, {beside}: cannot be read ({error}).", "Evaluate once more.") from error
    return _Evaluated(file, table, metrics)


def sentences(figures: Mapping[str, Any]) -> list[str]:
    """What the figures of a comparison say in plain words."""
    many = counted(figures["pictures"], "test picture", "test pictures")
    if figures["groups"] < figures["pictures"]:
        many += f" in {counted(figures['groups'], 'group', 'groups')} of copies"
    said = [f"Both were judged on the same {many}."]
    said += [
        f"{counted(len(alone), 'class is', 'classes are')} known to {name.upper()} alone: {listed(alone)}."
        for name in ("a", "b")
        if (alone := figures[f"classes_only_in_{name}"])
    ]
    changed = sum(figures["flips"].values())
    if not changed:
        return [*said, "They predict the same class for every picture."]
    said += [_overall(figures[measure], word) for measure, word in _MEASURES.items()]
    said += [
        _mcnemar(figures["mcnemar"], figures["groups"] < figures["pictures"]),
        *_classes(figures["per_class"]),
    ]
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in figures["flips"].items())
    said.append(f"From A to B {counted(changed, 'picture', 'pictures')} changed: {kinds}.")
    return said


def told(difference: Mapping[str, float]) -> bool:
    """Whether a difference can be told from noise: its interval leaves out 0."""
    return not difference["low"] <= 0 <= difference["high"]


def _overall(difference: Mapping[str, float], measure: str) -> str:
    low, high, size = difference["low"], difference["high"], difference["difference"]
    if not told(difference):
        return (
            f"In {measure} no difference can be told from noise: B - A = {size:+.3f} (95 % interval "
            f"{low:+.3f} to {high:+.3f})."
        )
    way, low, high = ("better", low, high) if size > 0 else ("worse", -high, -low)
    return f"B is {way} by {abs(size):.3f} {measure} (95 % interval {low:.3f} to {high:.3f})."


def _mcnemar(test: Mapping[str, Any], grouped: bool) -> str:
    text = (
        f"A alone is right on {counted(test['a_only'], 'picture', 'pictures')}, B alone on {test['b_only']:,}"
    )
    if grouped:
        text += f" ({test['groups_for_a']:,} and {test['groups_for_b']:,} groups)"
    verdict = "rarely" if test["p"] < 1 - LEVEL else "often"
    return f"{text}; chance alone is {verdict} so uneven (McNemar's exact test, {_p(test['p'])})."


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def _for_b(row: Mapping[str, Any]) -> bool:
    return bool(row["groups_for_b"] > row["groups_for_a"])


def _classes(per_class: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which classes differ, with the number of classes allowed for, and which are too small to say."""
    sure = [name for name, row in per_class.items() if row["p_holm"] < 1 - LEVEL]
    apart = sum(told(row["f1"]) for row in per_class.values())
    count = counted(len(per_class), "class", "classes")
    said = []
    for way, names in (
        # The direction of the test itself: F1 weighs the two kinds of mistakes otherwise, and may point the other way.
        ("fewer", [name for name in sure if _for_b(per_class[name])]),
        ("more", [name for name in sure if not _for_b(per_class[name])]),
    ):
        if names:
            said.append(
                f"B makes {way} mistakes about {listed(names)} (McNemar's test, Holm's correction for {count}, "
                f"p < {1 - LEVEL:.2f})."
            )
    if not sure:
        said.append(
            f"Of no single class can a difference be told from noise (Holm's correction for {count})."
        )
    if apart:
        said.append(
            f"{counted(apart, 'F1 interval', 'F1 intervals')} of {count} "
            f"{'leaves' if apart == 1 else 'leave'} out 0; without any real difference about "
            f"{(1 - LEVEL) * len(per_class):.1f} would."
        )
    small = [name for name, row in per_class.items() if row["groups"] < FEW]
    if small:
        said.append(
            f"{counted(len(small), 'class has', 'classes have')} fewer than {FEW} test pictures, copies counted once: "
            f"{listed(small)}. Do not rely on their intervals."
        )
    return said


# Tables ---------------------------------------------------------------------------------------------------------


def overall_rows(figures: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Measure, A, B, B - A and its interval, as people read them."""
    return [
        (word, *_cells(figures[measure]))
        for measure, word in {"accuracy": "accuracy", "macro_f1": "macro-F1"}.items()
    ]


def class_rows(figures: Mapping[str, Any]) -> list[tuple[str, int, str, str, str, str, str]]:
    """Class, pictures, F1 of A and B, difference, interval, and Holm's p: the `SHOWN` largest differences first."""
    order = sorted(figures["per_class"].items(), key=lambda item: -abs(item[1]["f1"]["difference"]))
    return [
        (name, row["pictures"], *_cells(row["f1"]), f"{row['p_holm']:.3f}") for name, row in order[:SHOWN]
    ]


def _cells(difference: Mapping[str, float]) -> tuple[str, str, str, str]:
    return (
        f"{difference['a']:.3f}",
        f"{difference['b']:.3f}",
        f"{difference['difference']:+.3f}",
        f"{difference['low']:+.3f} to {difference['high']:+.3f}",
    )
