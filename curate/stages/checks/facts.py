"""What a check is given and what it yields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd


@dataclass(frozen=True)
class Problem:
    """One row of the table `problems`, before its command; `examples` in the order in which they should be seen."""

    problem: str
    severity: str
    count: int
    value: float
    sentence: str
    examples: Sequence[str] = ()


@dataclass(frozen=True)
class Facts:
    """What the checks look at: the tables (None where a stage has not run) and from where a number is a problem."""

    files: pd.DataFrame
    duplicates: pd.DataFrame | None
    photos: pd.DataFrame | None
    plan: pd.DataFrame | None
    splits: pd.DataFrame | None
    ratio: float
    few: int
    small: int
    readable: pd.DataFrame = field(init=False)

    def __post_init__(self) -> None:
        """Order once, so that the order of the rows given does not matter."""
        files = self.files.sort_values("path", kind="stable")
        object.__setattr__(self, "files", files)
        object.__setattr__(self, "readable", files[files["status"] == "ok"])

    @cached_property
    def class_counts(self) -> pd.Series[int]:
        """Readable files by label, smallest first; labels whose files are all unreadable count 0."""
        labels = sorted(label for label in self.files["label"].unique() if label)
        counts = self.readable["label"].value_counts().reindex(labels, fill_value=0)
        return counts.sort_values(kind="stable")
