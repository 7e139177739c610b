"""Which test pictures the network was trained on, told from the fingerprints beside its weights; and copies among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classify import fingerprints
from classify.data.prints import MOST, read_prints
from classify.evaluation.scores import measure
from curate.engine import Progress, silent
from curate.lookalikes import KINDS, compare
from curate.words import counted, listed

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from classify.data.items import Item
    from classify.fingerprints import Known
    from classify.weights import Classifier

_WORDS = {"bytes": "to the byte", "pixels": "to the pixel", "near": "as edited copies"}


@dataclass(frozen=True)
class Leak:
    """A test picture that the network has seen: number `row` among the test pictures, and its training picture.

    `kind` is bytes, pixels or near (an edited copy), `score` 0..1; `part` says whether the picture was trained on or was
    in the validation part, by which the epoch was chosen.
    """

    row: int
    path: str
    label: str
    training_path: str
    training_label: str
    part: str
    kind: str
    score: float

    @property
    def agrees(self) -> bool:
        """Whether it had the same class in training."""
        return self.label == self.training_label


@dataclass(frozen=True)
class Leaks:
    """What `find_leaks` found.

    `groups` int64 (N,): the number of each test picture's group of duplicates, that of the group's first picture.
    `leaks`, sorted by row: the test pictures that are in the training set. `checked`: what could be looked for among the
    training pictures: `all`, `hashes` (equal bytes and pixels alone) or `no`. `notes` are sentences for the user.
    """

    groups: NDArray[np.int64]
    leaks: list[Leak]
    checked: str
    notes: list[str]

    def measure(self, predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, Any]:
        """What `metrics.json` says of the leaks, `predictions` being those of the N test pictures.

        `without` are the scores of the other test pictures; None where there is no leak, or no other picture.
        """
        rest = predictions.drop(index=predictions.index[[leak.row for leak in self.leaks]])
        without = None
        if self.leaks and len(rest):
            without = {
                name: value
                for name, value in measure(rest, classes).items()
                if isinstance(value, int | float)
            }
        return {
            "checked": self.checked,
            "count": len(self.leaks),
            "paths": [leak.path for leak in self.leaks],
            "pairs": [asdict(leak) | {"agrees": leak.agrees} for leak in self.leaks],
            "without": without,
            "groups": len(np.unique(self.groups)),
            "notes": self.notes,
        }

    def sentences(self, measured: Mapping[str, Any], scores: Mapping[str, Any]) -> list[str]:
        """The lines for the user: `measured` is what `measure` gave, `scores` are those of all test pictures."""
        without = measured["without"]
        if without is None:
            return self.notes
        figures = ", ".join(
            f"{name} {without[key]:.4f} (with {'it' if len(self.leaks) == 1 else 'them'} {scores[key]:.4f})"
            for name, key in (("accuracy", "accuracy"), ("macro-F1", "macro_f1"))
        )
        left = counted(without["pictures"], "picture", "pictures")
        return [*self.notes, f"Of the other {left}: {figures}."]


def find_leaks(
    items: Sequence[Item],
    paths: Sequence[str],
    labels: Sequence[str],
    weights: Path,
    classifier: Classifier,
    *,
    workers: int | None = None,
    progress: Progress = silent,
) -> Leaks:
    """Which of N test pictures are among the pictures that `classifier`, of the file `weights`, was trained on.

    `paths` and `labels` (classes) are those of the `items`. The training pictures themselves are not needed.
    """
    known = fingerprints.beside(weights, classifier)
    few = len(items) <= MOST
    prints = read_prints(items, few, workers=workers, progress=progress)
    readable = [row for row, one in enumerate(prints) if one is not None]
    found = compare(
        [one for one in prints if one is not None],
        [one.print for one in known.seen],
        workers=workers,
        progress=progress,
    )
    groups = np.arange(len(items))
    groups[readable] = np.array(readable, np.int64)[found.groups]
    leaks = []
    for match in found.matches:
        row, seen = readable[match.row], known.seen[match.other]
        leaks.append(
            Leak(
                row, paths[row], labels[row], seen.path, seen.label, seen.part, match.kind, float(match.score)
            )
        )
    checked = "no" if known.missing else "all" if known.copies and few else "hashes"
    return Leaks(groups, leaks, checked, _notes(known, few, leaks, len(items)))


def _notes(known: Known, few: bool, leaks: Sequence[Leak], count: int) -> list[str]:
    """What was found, and what could not be looked for."""
    if known.missing:
        return [f"Whether test pictures are in the training set cannot be checked: {known.missing}."]
    notes = []
    if not few or not known.copies:
        why = (
            "the fingerprints beside the weights hold no small copies"
            if few
            else f"there are more than {MOST:,} test pictures"
        )
        notes.append(f"Looked for the same bytes and the same pixels in the training set alone: {why}.")
    if not leaks:
        return [
            *notes,
            f"None of {counted(count, 'test picture', 'test pictures')} was found in the training set.",
        ]
    kinds = Counter(leak.kind for leak in leaks)
    how = ", ".join(f"{kinds[kind]:,} {_WORDS[kind]}" for kind in KINDS if kinds[kind])
    are = "is" if len(leaks) == 1 else "are"
    shown = listed([f"{leak.path} ({leak.training_path})" for leak in leaks])
    notes.append(
        f"{len(leaks):,} of {counted(count, 'test picture', 'test pictures')} {are} in the training set ({how}): {shown}."
    )
    chosen = sum(leak.part == "val" for leak in leaks)
    if chosen:
        notes.append(f"{chosen:,} of them in its validation part, by which the epoch was chosen.")
    other = sum(not leak.agrees for leak in leaks)
    if other:
        notes.append(f"{other:,} of them had another class in training.")
    return notes
