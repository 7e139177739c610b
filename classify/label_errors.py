"""Labels of a training set that are probably wrong: suggestions that a person takes or refuses, nothing more.

The pictures are predicted out of fold (`classify.folds`), the predictions judged (`classify.confident_learning`), and
the suspects written as a table that goes back through `curate verdict`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from classify.confident_learning import find
from classify.data.cache import fits, none_readable, read_pictures
from classify.data.items import Source, check_classes
from classify.data.sources import find_source
from classify.data.splitting import groups
from classify.folds import by_embeddings, by_training, embedded, folds_of
from classify.outputs import DrawGroups, output_folder, write_all
from classify.settings import Settings
from classify.suspects import Judged, LabelErrors, as_files, rank
from classify.weights import Preprocessing
from curate.engine import Progress, silent
from curate.errors import UserError
from curate.verdicts import labels_said, read_verdicts
from curate.words import counted, listed
from curate.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from classify.data.cache import Pictures
    from classify.history import Epoch

METHODS = ("embeddings", "training")

_SHOWN = Preprocessing(160, fit="stretch")
"""Pictures as the built-in encoder takes them."""


def find_label_errors(
    source: str | Path,
    out: str | Path,
    *,
    method: str = "embeddings",
    folds: int = 5,
    minutes: float | None = None,
    settings: Settings | None = None,
    draw: DrawGroups | None = None,
    workers: int | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    say: Callable[[str], None] = lambda text: None,
    progress: Progress = silent,
) -> LabelErrors:
    """Look for wrong labels among the pictures of `source` (what `classify.train` takes), and write suggestions to `out`.

    Each picture is judged by a classifier that saw neither it nor a copy of it: with the `method` "embeddings" a logistic
    regression on the built-in encoder's embeddings, with "training" a network trained with `settings` for each of the
    `folds`, in `minutes` for all of them together (by default `training.minutes`). Labels that people spoke on count as
    they said, and are not suspected again. Writes `label_errors.csv`, `label_errors.json`, `out_of_fold.parquet`, and
    `label_errors.html` where `draw` makes it. Changes nothing else. Raises UserError for whatever the user can mend.
    """
    _check(method, folds, minutes)
    chosen = (settings or Settings()).resolved()
    found = find_source(source, chosen.data.raw)
    place = Path(out)
    with output_folder(place, found.root):
        pictures = read_pictures(
            found.items,
            _SHOWN,
            workers=workers,
            progress=progress,
            folder=None if fits(len(found.items), _SHOWN.size) else place,
        )
        workspace = Workspace.find(source)
        taking_part = _taking_part(found, pictures, workspace, folds, chosen.training.seed)
        if not taking_part.judged.any():
            raise UserError(
                f"{found.root}: copies counted once, each class lies in one fold alone: nothing can be judged.",
                "Give more pictures, or fewer folds with --folds.",
            )
        for note in [*found.notes, *_notes(found, pictures, taking_part)]:
            say(note)
        if method == "embeddings":
            known = _stored(workspace)
            vectors = embedded(pictures.images[taking_part.rows], taking_part.contents, known, progress)
            belief = by_embeddings(vectors, taking_part.labels, taking_part.fold, len(taking_part.classes))
        else:
            belief = by_training(
                taking_part.source,
                taking_part.contents,
                taking_part.fold,
                _shared(chosen, minutes, folds),
                place / "folds",
                workers=workers,
                on_epoch=on_epoch,
                say=say,
                progress=progress,
            )
        judged = np.flatnonzero(taking_part.judged)
        findings = find(taking_part.labels[judged], belief[judged])
        result = rank(taking_part, pictures, belief, findings, method, place)
        write_all(place, as_files(result, taking_part, belief, draw))
    return result


def _check(method: str, folds: int, minutes: float | None) -> None:
    """Raise UserError for arguments that mean nothing."""
    if method not in METHODS:
        raise UserError(f"method '{method}' is not known.", f"Give one of {', '.join(METHODS)}.")
    if folds < 2:
        raise UserError(f"{folds} folds: there must be two or more.", "Give --folds 5, for example.")
    if minutes is not None and method != "training":
        raise UserError(
            "minutes are for trainings; embeddings need none.",
            "Leave --minutes away, or give --with training.",
        )
    if minutes is not None and minutes <= 0:
        raise UserError(f"{minutes:g} minutes are no time to train in.", "Give --minutes above 0.")


def _shared(settings: Settings, minutes: float | None, folds: int) -> Settings:
    """The settings of one fold's training: its share of the time."""
    total = settings.training.minutes if minutes is None else minutes
    return settings.replaced({"training": {"minutes": total / folds}}, "--minutes")


def _taking_part(
    source: Source, pictures: Pictures, workspace: Workspace | None, folds: int, seed: int
) -> Judged:
    """Lay out what is judged. Raises UserError where classes or pictures are too few."""
    said = labels_said(read_verdicts(workspace)) if workspace is not None else {}
    rows = [row for row, content in enumerate(pictures.contents) if said.get(content) != ""]
    contents = [pictures.contents[row] for row in rows]
    where = [int(pictures.index[row]) for row in rows]
    labels = [
        said.get(content) or source.labels[index] for content, index in zip(contents, where, strict=True)
    ]
    if not pictures.contents:
        raise none_readable(source, pictures.unreadable)
    check_classes(str(source.root), labels)
    group, _ = groups(contents, pictures.hashes[rows], pictures.hashed[rows])
    classes = sorted(set(labels))
    if max(labels.count(name) for name in classes) < folds:
        raise UserError(
            f"{source.root}: no class has {folds} pictures, one for each fold.", "Give fewer with --folds."
        )
    few = "Give more pictures, or fewer folds with --folds."
    if len(np.unique(group)) < folds:
        raise UserError(
            f"{source.root}: copies counted once, there are fewer than {folds} pictures, one for each fold.",
            few,
        )
    fold = folds_of(labels, contents, group, folds, seed)
    for one in range(folds):
        if len({label for label, its in zip(labels, fold.tolist(), strict=True) if its != one}) < 2:
            raise UserError(
                f"{source.root}: copies counted once, the pictures are too few: without one of {folds} folds only one class "
                "is left to learn from.",
                few,
            )
    number = {name: index for index, name in enumerate(classes)}
    index = np.array([number[label] for label in labels], np.int64)
    inside = np.zeros((len(classes), folds), np.int64)
    np.add.at(inside, (index, fold), 1)
    return Judged(
        dataclasses.replace(
            source,
            paths=[source.paths[at] for at in where],
            labels=labels,
            items=[source.items[at] for at in where],
            splits=None,
            weights=None,
            copies=None,
            notes=[],
            extra=0,
        ),
        np.array(rows, np.int64),
        contents,
        np.array([content in said for content in contents], bool),
        fold,
        inside[index].sum(1) > inside[index, fold],
        classes,
        index,
        source.kind == "workspace" or (source.kind == "folders" and source.splits is None),
    )


def _notes(source: Source, pictures: Pictures, taking_part: Judged) -> list[str]:
    """Sentences on what is left out."""
    notes = []
    if pictures.unreadable:
        names = listed([source.paths[item] for item, _ in pictures.unreadable])
        notes.append(f"{counted(len(pictures.unreadable), 'file', 'files')} cannot be read: {names}.")
    if taken_out := len(pictures.contents) - len(taking_part.contents):
        notes.append(
            f"{counted(taken_out, 'picture is', 'pictures are')} left out: people said that they belong to no class."
        )
    if spoken := int(taking_part.said.sum()):
        notes.append(
            f"People have spoken on {counted(spoken, 'label', 'labels')}: taken as they said, and not suspected again."
        )
    alone = sorted({taking_part.classes[label] for label in taking_part.labels[~taking_part.judged]})
    if alone:
        notes.append(f"Too few pictures to judge their labels, but for copies: {listed(alone)}.")
    return notes


def _stored(workspace: Workspace | None) -> dict[str, NDArray[np.float32]]:
    """Embeddings of the built-in encoder that `curate filter-photos` left in the workspace, by content."""
    origin = workspace.origin("embeddings") if workspace is not None else None
    if workspace is None or origin is None:
        return {}
    if origin.settings.get("encoder") not in ("", "builtin") or origin.settings.get("backend") == "clip":
        return {}
    table = workspace.read("embeddings")
    vectors = np.array(table["vector"].tolist(), np.float32)
    return dict(zip(table["content"], vectors, strict=True))
