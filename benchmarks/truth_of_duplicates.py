"""How good are the pairs that a finder of duplicates reports, against the truth of a data set?

DATA holds truth.csv beside the folder of the pictures, in one of two forms:

    images/  file, group, kind[, variant_group]          kind: original or the name of the edit
    train/   path, origin, kind, edit[, variant_group]   kind: original, exact, near, wrong_class, unreadable

Files of one group (or origin) show the same picture: all their pairs are to be found. Files with an equal
variant_group that are not of one group (one drawing in several skin tones, several shots of one person, blank
pages) count neither way. Unreadable files, and files the truth does not name, are left out of the score.
"""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

Pair = tuple[str, str]


class File(NamedTuple):
    """What the truth says about one file."""

    group: str
    kind: str
    variant: str


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1 over pairs, as reported and after joining everything that touches (closure).

    `mixed` is the size of the largest joined cluster that holds different pictures; `kinds` the share of the files of
    each kind of edit that were paired with the original they were made from.
    """

    reported: int
    wrong: int
    precision: float
    recall: float
    f1: float
    closure_precision: float
    closure_f1: float
    mixed: int
    kinds: dict[str, float]


@dataclass
class Truth:
    """The pictures' folder and what is known about its files."""

    folder: Path
    files: dict[str, File]
    unreadable: frozenset[str]
    pairs: frozenset[Pair] = field(init=False)

    def __post_init__(self) -> None:
        groups = defaultdict(list)
        for name, file in self.files.items():
            groups[file.group].append(name)
        self.pairs = frozenset(pair for group in groups.values() for pair in pairs_of(group))

    @classmethod
    def read(cls, data: Path) -> Truth:
        with (data / "truth.csv").open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        name, group, folder = (
            ("file", "group", "images") if "file" in rows[0] else ("path", "origin", "train")
        )
        files = {
            row[name]: File(
                row[group] or row[name], row.get("edit") or row["kind"], row.get("variant_group") or ""
            )
            for row in rows
            if row["kind"] != "unreadable"
        }
        unreadable = frozenset(row[name] for row in rows if row["kind"] == "unreadable")
        return cls(data / folder, files, unreadable)

    def known(self, pairs: Iterable[Pair]) -> set[Pair]:
        """The pairs of two different files that the truth names, each in order, without the neutral ones."""
        ordered = {(a, b) if a < b else (b, a) for a, b in pairs if a != b}
        return {
            (a, b) for a, b in ordered if a in self.files and b in self.files and not self.neutral((a, b))
        }

    def neutral(self, pair: Pair) -> bool:
        """Variants of one drawing: called the same or not, either is accepted."""
        a, b = self.files[pair[0]], self.files[pair[1]]
        return a.group != b.group and a.variant != "" and a.variant == b.variant

    def score(self, pairs: Iterable[Pair]) -> Score:
        pairs = [(a, b) for a, b in pairs if a in self.files and b in self.files and a != b]
        said = self.known(pairs)
        clusters = components(pairs)
        closed = self.known(pair for cluster in clusters for pair in pairs_of(cluster))
        mixed = 0
        for cluster in clusters:
            if len({self.files[name].variant or self.files[name].group for name in cluster}) > 1:
                mixed = max(mixed, len(cluster))
        precision, recall, f1 = self.rates(len(said), len(said & self.pairs))
        closure_precision, _, closure_f1 = self.rates(len(closed), len(closed & self.pairs))
        return Score(
            reported=len(said),
            wrong=len(said - self.pairs),
            precision=precision,
            recall=recall,
            f1=f1,
            closure_precision=closure_precision,
            closure_f1=closure_f1,
            mixed=mixed,
            kinds=self.recall_by_kind(said),
        )

    def rates(self, said: int, hits: int) -> tuple[float, float, float]:
        """Precision, recall and F1 of `said` pairs of which `hits` are true; 1 where there is nothing to say or find."""
        precision = hits / said if said else 1.0
        recall = hits / len(self.pairs) if self.pairs else 1.0
        return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    def recall_by_kind(self, said: set[Pair]) -> dict[str, float]:
        originals = {file.group: name for name, file in self.files.items() if file.kind == "original"}
        found: dict[str, list[bool]] = defaultdict(list)
        for name, file in self.files.items():
            if file.kind != "original" and file.group in originals:
                original = originals[file.group]
                found[file.kind].append((min(name, original), max(name, original)) in said)
        return {kind: sum(hits) / len(hits) for kind, hits in sorted(found.items())}

    def best_threshold(self, distances: dict[Pair, float]) -> float:
        """The largest distance to accept for the highest F1 over pairs; the smallest such where several tie.

        The pairs' names stand in order.
        """
        known = self.known(distances)
        ordered = sorted(
            (distance, pair in self.pairs) for pair, distance in distances.items() if pair in known
        )
        best, threshold, hits = -1.0, 0.0, 0
        for said, (distance, hit) in enumerate(ordered, start=1):
            hits += hit
            if said < len(ordered) and ordered[said][0] == distance:
                continue
            f1 = self.rates(said, hits)[2]
            if f1 > best:
                best, threshold = f1, distance
        return threshold


def pairs_of(names: Iterable[str]) -> Iterable[Pair]:
    return itertools.combinations(sorted(names), 2)


def components(pairs: Iterable[Pair]) -> list[list[str]]:
    """The names that pairs join, directly or over others."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for a, b in pairs:
        parent[root(a)] = root(b)
    clusters = defaultdict(list)
    for name in list(parent):
        clusters[root(name)].append(name)
    return list(clusters.values())
