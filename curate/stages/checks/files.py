"""Checks of files: what cannot be read, copies, photographs, animations, formats."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from curate.images import REASONS
from curate.stages.checks.facts import Facts, Problem
from curate.words import are, counted


def check_unreadable(facts: Facts) -> Iterator[Problem]:
    """Files that are no pictures, with the reasons."""
    bad = facts.files[facts.files["status"] != "ok"]
    if len(bad):
        counts = bad["reason"].value_counts()
        reasons = "; ".join(
            f"{REASONS.get(str(reason), reason)}: {count}" for reason, count in counts.items()
        )
        sentence = f"{counted(len(bad), 'file')} cannot be read ({reasons})."
        severity = "high" if len(bad) > 0.01 * len(facts.files) else "medium"
        yield Problem("unreadable", severity, len(bad), len(bad), sentence, bad["path"].tolist())


def check_duplicates(facts: Facts) -> Iterator[Problem]:
    """Copies: to the byte or pixel, and edited ones; and copies that stand under several labels."""
    if facts.duplicates is None:
        yield from _same_bytes(facts)
        return
    found = facts.duplicates.sort_values(["group", "path"])
    copies = found[(found["path"] != found["keeper"]) & ~found["conflict"]]
    exact, near = copies[copies["tier"] != "near"], copies[copies["tier"] == "near"]
    if len(exact):
        share = len(exact) / len(facts.files)
        verb = "shows" if len(exact) == 1 else "show"
        sentence = f"{counted(len(exact), 'file')} ({share:.1%}) {verb} the same picture as another, to the byte or pixel."
        yield Problem("exact_duplicates", _grave(share), len(exact), share, sentence, exact["path"].tolist())
    if len(near):
        share = len(near) / len(facts.files)
        what = "is an edited copy" if len(near) == 1 else "are edited copies"
        sentence = f"{counted(len(near), 'file')} ({share:.1%}) {what} of another: resized, cropped, recoloured or saved anew."
        yield Problem("near_duplicates", _grave(share), len(near), share, sentence, near["path"].tolist())
    yield from _conflicts(facts, found[found["conflict"]])


def _conflicts(facts: Facts, conflicts: pd.DataFrame) -> Iterator[Problem]:
    """Copies under several labels: those that wait for a person, and those that a rule decided."""
    waits = conflicts["group"].isin(conflicts.loc[conflicts["action"] == "review", "group"])
    settled, conflicts = conflicts[~waits], conflicts[waits]
    if len(settled):
        groups, gone = int(settled["group"].nunique()), settled[settled["action"] == "remove"]
        stood = "stands" if groups == 1 else "stand"
        sentence = (
            f"{counted(groups, 'picture')} ({len(settled):,} files) {stood} under more than one label; by the rule that was asked "
            f"for (--conflicts) {counted(len(gone), 'file goes', 'files go')}."
        )
        yield Problem("settled_conflicts", "medium", len(settled), groups, sentence, gone["path"].tolist())
    if len(conflicts):
        groups = int(conflicts["group"].nunique())
        verb = "stands" if groups == 1 else "stand"
        sentence = (
            f"{counted(groups, 'picture')} ({len(conflicts):,} files) {verb} under more than one label: at most one of the "
            "labels can be right. They wait for a person, who names the right one (`curate verdict`) or takes the wrong files "
            "away; none is removed by itself."
        )
        if facts.plan is not None:
            actions = facts.plan.set_index("path")["action"].reindex(conflicts["path"])
            if going := int((actions == "remove").sum()):
                sentence += f" {counted(going, 'file')} of them {'goes' if going == 1 else 'go'} for another reason all the same."
        yield Problem("label_conflicts", "high", len(conflicts), groups, sentence, conflicts["path"].tolist())


def _same_bytes(facts: Facts) -> Iterator[Problem]:
    """Before `dedup` has run: equal contents are known from the scan alone."""
    later = facts.readable[facts.readable.duplicated("content")]
    if len(later):
        share = len(later) / len(facts.files)
        verb = "has" if len(later) == 1 else "have"
        sentence = f"{counted(len(later), 'file')} ({share:.1%}) {verb} the same bytes as another."
        yield Problem("exact_duplicates", _grave(share), len(later), share, sentence, later["path"].tolist())


def _grave(share: float) -> str:
    return "high" if share >= 0.05 else "medium" if share >= 0.01 else "low"


def check_photos(facts: Facts) -> Iterator[Problem]:
    """Photographs among the drawings, and pictures of which the filter is not sure."""
    if facts.photos is None or facts.photos.empty:
        return
    ranked = facts.photos.sort_values(["photo_score", "path"], ascending=[False, True])
    going = ranked[ranked["action"] == "remove"]
    drawn = (going["photo_verdict"] == "drawing").any()  # drawings among photographs were looked for
    noun = "drawing" if drawn else "photograph"
    for action, name in (("remove", "photographs"), ("review", "unsure_photographs")):
        some = ranked[ranked["action"] == action]
        share = len(some) / len(ranked)
        if action == "remove":
            what = f"is a {noun}" if len(some) == 1 else f"are {noun}s"
            sentence = f"{counted(len(some), 'picture')} ({share:.1%}) {what}, as far as can be told."
        else:
            sentence = f"Of {counted(len(some), 'picture')} ({share:.1%}) it cannot be told whether they are {noun}s; they are kept."
        if len(some):
            severity = _grave(share) if action == "remove" else "low"
            yield Problem(name, severity, len(some), share, sentence, some["path"].tolist())


def check_animated(facts: Facts) -> Iterator[Problem]:
    """Files of several frames, of which the first alone is used."""
    moving = facts.readable.loc[facts.readable["frames"] > 1, "path"].tolist()
    if moving:
        sentence = (
            f"{counted(len(moving), 'file')} {are(len(moving))} animated; the first frame alone is used."
        )
        yield Problem("animated", "low", len(moving), len(moving), sentence, moving)


def check_encodings(facts: Facts) -> Iterator[Problem]:
    """Formats and transparency that differ between classes: a classifier learns them in place of the drawings."""
    files = facts.readable
    counts = files["format"].value_counts()
    by_class = (
        pd.crosstab(files["label"], files["format"], normalize="index") if len(files) else pd.DataFrame()
    )
    if len(counts) > 1:
        shares = ", ".join(f"{name} {count / len(files):.0%}" for name, count in counts.items())
        sentence = f"{counted(len(counts), 'format')}: {shares}."
        large = facts.class_counts.index[facts.class_counts >= facts.few]
        spread = (
            float((by_class.loc[large].max() - by_class.loc[large].min()).max()) if len(large) > 1 else 0.0
        )
        if spread > 0.5:
            sentence += f" They go with the class (up to {spread:.0%} apart), so a classifier can read the class off them."
        yield Problem(
            "mixed_formats",
            "medium" if spread > 0.5 else "low",
            len(files) - int(counts.iloc[0]),
            len(counts),
            sentence,
        )
    clear = files.loc[files["transparency"] > 0].sort_values(
        ["transparency", "path"], ascending=[False, True]
    )
    if len(clear):
        sentence = (
            f"{counted(len(clear), 'picture')} ({len(clear) / len(files):.1%}) with transparent parts, shown on white; "
            f"white drawings vanish there."
        )
        yield Problem(
            "transparency", "low", len(clear), len(clear) / len(files), sentence, clear["path"].tolist()
        )
