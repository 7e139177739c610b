"""Training, validation and test part: which of them is read for what, and all as one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from classify.data.items import Item, Source
from curate.errors import UserError

Purpose = Literal["train", "test"]
"""What a set is read for: to learn from its training and validation part, or to be judged on its test part."""

_WORDS = {"train": "training", "val": "validation", "test": "test"}


@dataclass
class Rows:
    """Some pictures of a set: what `Source` holds of them."""

    paths: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    def add(self, path: str, label: str, item: Item) -> None:
        """One picture more."""
        self.paths.append(path)
        self.labels.append(label)
        self.items.append(item)


def chosen(parts: Collection[str], purpose: Purpose, place: Path) -> list[str]:
    """Which of the `parts` that a set has are read. Raises UserError where none of them is for the purpose.

    To learn: train, and val where there is one. To judge: test, else val; never train.
    """
    if purpose == "train" and "train" in parts:
        return [name for name in ("train", "val") if name in parts]
    if purpose == "test":
        for name in ("test", "val"):
            if name in parts:
                return [name]
    here = " and ".join(f"a {_WORDS[name]} part" for name in sorted(parts, reverse=True))
    if purpose == "train":
        raise UserError(f"{place}: has {here}, but no training part.", "Give a set with a training part.")
    raise UserError(
        f"{place}: has {here}, but no test part; scores on what was learnt from say nothing.",
        "Give the set's test part, or pictures that the run never saw.",
    )


def joined(place: Path, kind: str, parts: Mapping[str, Rows], purpose: Purpose, notes: list[str]) -> Source:
    """The parts that were read as one source, which says of each picture whether it is for training or validation.

    Raises UserError where they hold no picture with a label.
    """
    if not any(rows.paths for rows in parts.values()):
        raise UserError(f"{place}: holds no pictures with a label.", "Give a set that has some.")
    if purpose == "test" and "val" in parts:
        notes = [
            *notes,
            "There is no test part: the validation part is judged. Where it chose the epoch, the scores flatter.",
        ]
    splits = None
    if purpose == "train" and parts.get("val", Rows()).paths:
        splits = [name for name, rows in parts.items() for _ in rows.paths]
    return Source(
        place,
        kind,
        [path for rows in parts.values() for path in rows.paths],
        [label for rows in parts.values() for label in rows.labels],
        [item for rows in parts.values() for item in rows.items],
        splits,
        notes=notes,
    )
