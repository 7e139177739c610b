"""Checks of what is in the pictures: blank ones, those that stand apart, sizes."""

from __future__ import annotations

from collections.abc import Iterator

from curate.stages.checks.facts import Facts, Problem
from curate.stages.outliers import blank, outliers
from curate.words import are, counted


def check_blank(facts: Facts) -> Iterator[Problem]:
    """Pages with nothing on them."""
    empty = facts.readable[blank(facts.readable)].sort_values(["ink", "path"])["path"].tolist()
    if empty:
        sentence = f"{counted(len(empty), 'picture')} {are(len(empty))} blank, or nearly."
        yield Problem("blank", "medium", len(empty), len(empty), sentence, empty)


_APART = {
    "dark": ("dark", "far darker than the rest of this folder"),
    "bright": ("bright", "far brighter than the rest of this folder"),
    "faint": ("faint", "of far less contrast than the rest of this folder"),
    "blurry": ("blurry", "far softer than the rest of this folder, probably blurred or enlarged"),
    "aspect": ("odd_aspect_ratios", "far longer or narrower than the rest of this folder"),
}


def check_outliers(facts: Facts) -> Iterator[Problem]:
    """Pictures that stand apart from their own folder (see `curate.stages.outliers`)."""
    for kind, found in outliers(facts.files).groupby("kind", sort=True):
        name, words = _APART[str(kind)]
        sentence = f"{counted(len(found), 'picture')} {are(len(found))} {words}."
        yield Problem(name, "low", len(found), len(found), sentence, found["path"].tolist())


def check_sizes(facts: Facts) -> Iterator[Problem]:
    """Pictures far smaller than their folder's, and classes whose pictures are of very different size."""
    files = facts.readable
    if files.empty:
        return
    side = files[["width", "height"]].min(axis=1)
    small = files[(side < facts.small) & (side < side.median() / 2)]
    if len(small):
        sentence = f"{counted(len(small), 'picture')} {are(len(small))} under {facts.small} pixels on the shorter side; half of all have {side.median():.0f} or more."
        ordered = small.assign(side=side[small.index]).sort_values(["side", "path"])["path"].tolist()
        yield Problem("tiny_pictures", "low", len(small), len(small), sentence, ordered)
    large = facts.class_counts.index[facts.class_counts >= facts.few]
    medians = side.groupby(files["label"]).median().reindex(large).sort_values(kind="stable")
    if len(medians) > 1 and medians.iloc[-1] >= 2 * medians.iloc[0]:
        ratio = float(medians.iloc[-1] / medians.iloc[0])
        sentence = (
            f"Pictures of '{medians.index[-1]}' are {ratio:.1f} times as large as those of '{medians.index[0]}' "
            f"({medians.iloc[-1]:.0f} and {medians.iloc[0]:.0f} pixels, medians of the shorter side): a classifier can "
            f"read the class off the sharpness."
        )
        yield Problem("class_sizes", "medium", len(files), ratio, sentence)
