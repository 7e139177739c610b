"""What a classifier is weak at, in sentences, drawn from the figures of its records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from classify.exporting.records import Records
from curate.words import counted

FEW = 50
"""A class with fewer training pictures than this is named."""

FEW_TESTED = 20
"""Scores of a class rest on little where it has fewer test pictures than this: a share's standard error is .1 or more."""

UNBALANCED = 3.0
"""Largest class by smallest, in training pictures, from which this is said."""

WEAKEST = 3
PAIRS = 5


def limits(records: Records) -> list[str]:
    """Sentences about the weak sides: those of any such classifier, then those that the figures show."""
    classes = records.classifier.classes
    found = [
        f"It names one of its {len(classes)} classes for any picture, also for one that belongs to none of them.",
        "It was trained on pictures of one collection; of pictures of another kind, style or source its scores say "
        "nothing.",
    ]
    if records.metrics:
        found += _tested(records.metrics)
    else:
        found.append("No test is recorded, so it is not known how good it is on pictures that it never saw.")
    return [*found, *_training(records.training_pictures)]


def _tested(metrics: Mapping[str, Any]) -> list[str]:
    """What the scores of a test show."""
    rows = metrics.get("per_class", {})
    found = []
    weak = sorted(rows, key=lambda name: (rows[name]["f1"], name))[:WEAKEST]
    if len(rows) > WEAKEST:
        told = [
            f"{plain(name)} (F1 {rows[name]['f1']:.2f}: {rows[name]['recall']:.0%} of its pictures are found, "
            f"{rows[name]['precision']:.0%} of those named so are right)"
            for name in weak
        ]
        found.append(f"The weakest classes are {'; '.join(told)}.")
    if pairs := metrics.get("most_confused", [])[:PAIRS]:
        told = [
            f"{plain(pair['label'])} taken for {plain(pair['prediction'])} ({pair['count']:,}, {pair['share']:.0%} of its "
            "pictures)"
            for pair in pairs
        ]
        found.append(f"Most confused are {'; '.join(told)}.")
    if few := [name for name in sorted(rows) if rows[name]["support"] < FEW_TESTED]:
        found.append(
            f"The scores of {_and(few)} rest on fewer than {FEW_TESTED} test pictures each and say little."
        )
    if absent := metrics.get("classes_without_pictures", []):
        found.append(f"Not tested at all: {_and(absent)}.")
    leaks = metrics.get("leaks") or {}  # none where they were not looked for
    if count := leaks.get("count", 0):
        are = "picture is" if count == 1 else "pictures are"
        without = leaks.get("without") or {}
        rest = f"; without them the accuracy is {without['accuracy']:.3f}" if "accuracy" in without else ""
        found.append(f"{count:,} test {are} in the training set too{rest}.")
    return found


def _training(pictures: Mapping[str, int]) -> list[str]:
    """What the numbers of training pictures show."""
    found = []
    if few := [name for name, count in sorted(pictures.items()) if count < FEW]:
        found.append(f"Learnt from fewer than {FEW} pictures each: {_and(few)}.")
    least, most = min(pictures.values(), default=0), max(pictures.values(), default=0)
    if least and most / least >= UNBALANCED:
        small = min(pictures, key=lambda name: (pictures[name], name))
        large = max(pictures, key=lambda name: (pictures[name], name))
        found.append(
            f"The classes are unbalanced: {plain(large)} has {counted(most, 'training picture', 'training pictures')}, "
            f"{plain(small)} {least:,}."
        )
    return found


def _and(names: Sequence[str]) -> str:
    return ", ".join(plain(name) for name in names)


def plain(text: object) -> str:
    r"""Text as Markdown shows it, letter by letter: no emphasis, link, tag, cell or new line comes from a name."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|~&" else " " if not c.isprintable() else c for c in str(text))
