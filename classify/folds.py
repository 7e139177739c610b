"""What a classifier believes of pictures that it was not trained on: out-of-fold probabilities of a whole set.

Two ways: logistic regression on the built-in encoder's embeddings, in minutes, or a training from scratch for each fold.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classify.data.items import Source
from curate.engine import Progress, silent
from curate.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from classify.history import Epoch
    from classify.settings import Settings

_EASE = 10.0
"""Inverse strength of the ridge for embeddings of unit length: least out-of-fold log loss of 1, 3, 10, 30, 100 (docs/label-errors.md)."""

_EMBEDDED = 256
"""Pictures between two words on the progress."""


def folds_of(
    labels: Sequence[str], contents: Sequence[str], group: NDArray[np.int64], count: int, seed: int
) -> NDArray[np.int64]:
    """Number of each picture's fold, int64 (N,), 0 .. count - 1: whole groups, every class spread over the folds.

    scikit-learn's StratifiedGroupKFold; depends on contents and seed, not on the order or the names of files. Raises
    ValueError where every class has fewer pictures than there are folds.
    """
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    order = sorted(range(len(labels)), key=lambda index: (contents[index], labels[index]))
    first: dict[int, int] = {}
    groups = [first.setdefault(int(group[index]), len(first)) for index in order]
    classes = [labels[index] for index in order]
    fold = np.zeros(len(labels), np.int64)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with fewer pictures than folds: the caller tells
        for number, (_, held) in enumerate(splitter.split(classes, classes, groups)):
            fold[np.array(order)[held]] = number
    return fold


def embedded(
    images: NDArray[np.uint8],
    contents: Sequence[str],
    known: dict[str, NDArray[np.float32]],
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """Embeddings of the built-in encoder, float32 (N, 192), of pictures uint8 (N, 160, 160, 3).

    Those that are `known` by content are taken from there. Raises UserError where the encoder's weights are not installed.
    """
    from curate.encoders import BuiltinEncoder

    vectors = np.zeros((len(images), BuiltinEncoder.dimensions), np.float32)
    new = [index for index, content in enumerate(contents) if content not in known]
    for index in sorted(set(range(len(images))) - set(new)):
        vectors[index] = known[contents[index]]
    encoder = BuiltinEncoder() if new else None
    for start in range(0, len(new), _EMBEDDED):
        rows = new[start : start + _EMBEDDED]
        assert encoder is not None
        vectors[rows] = encoder.embed(list(images[rows]))
        progress(start + len(rows), len(new))
    return vectors


def by_embeddings(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], fold: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """Out-of-fold probabilities (N, classes) of a logistic regression on `vectors` (N, D) of unit length.

    A class that a fold's training part lacks has probability 0 there.
    """
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((len(labels), classes))
    for number in np.unique(fold):
        inside, held = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        model = LogisticRegression(C=_EASE, max_iter=1000).fit(vectors[inside], labels[inside])
        found[np.ix_(held, model.classes_)] = model.predict_proba(vectors[held])
    return found


def by_training(
    source: Source,
    contents: Sequence[str],
    fold: NDArray[np.int64],
    settings: Settings,
    place: Path,
    *,
    workers: int | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Out-of-fold probabilities (N, C), classes sorted, of a training with `settings` for each fold, each in `place/fold-K`.

    The training sees nothing of its fold: what its best epoch is, a part of its own pictures says. A fold that is done is
    not trained again, one that was interrupted goes on. Raises UserError where `place` holds folds of something else.
    """
    from classify.prediction import PROBABILITY, default_device, predict
    from classify.training import train
    from classify.weights import load, write_whole

    classes = sorted(set(source.labels))
    _claim(place, source, contents, fold, settings)
    found = np.zeros((len(fold), len(classes)))
    count = int(fold.max()) + 1
    for number in range(count):
        run = place / f"fold-{number + 1}"
        held = np.flatnonzero(fold == number)
        done = run / "probabilities.npy"
        if not done.exists():
            say(
                f"Fold {number + 1} of {count}: {len(fold) - len(held):,} pictures to learn from, {len(held):,} to judge."
            )
            resume = (run / "settings.toml").exists()
            inside = _part(source, np.flatnonzero(fold != number))
            train(
                inside,
                run,
                settings,
                resume=resume,
                workers=workers,
                on_epoch=on_epoch,
                say=say,
                progress=progress,
            )
            classifier = load(run / "best.safetensors", default_device())
            table = predict([source.items[row] for row in held], classifier, progress, workers=workers)
            stream = io.BytesIO()
            belief = table.reindex(columns=[PROBABILITY + name for name in classes], fill_value=0.0)
            np.save(stream, belief.to_numpy(np.float64))
            write_whole(done, stream.getvalue())
        found[held] = np.load(done, allow_pickle=False)
    return found


def _part(source: Source, rows: NDArray[np.int64]) -> Source:
    """Some of the source's pictures, without a split of their own."""
    return dataclasses.replace(
        source,
        paths=[source.paths[row] for row in rows],
        labels=[source.labels[row] for row in rows],
        items=[source.items[row] for row in rows],
        splits=None,
        weights=None,
        copies=None,
        notes=[],
        extra=0,
    )


def _claim(
    place: Path, source: Source, contents: Sequence[str], fold: NDArray[np.int64], settings: Settings
) -> None:
    """Note in `place` what its folds are of. Raises UserError where they are of something else."""
    from classify.weights import write_whole

    lines = sorted(
        f"{content} {label} {number}"
        for content, label, number in zip(contents, source.labels, fold.tolist(), strict=True)
    )
    about = {
        "pictures_sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        "settings": settings.to_dict(),
    }
    file = place / "folds.json"
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        place.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(about, indent=1).encode())
        return
    except ValueError:
        stored = None
    if stored != about:
        raise UserError(
            f"{place}: holds folds of other pictures, labels or settings.",
            "Give another place with --out, or remove that folder.",
        )
