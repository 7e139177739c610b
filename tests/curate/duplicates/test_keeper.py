"""The keeper's rule, one difference at a time."""

from __future__ import annotations

import dataclasses

import pytest

from curate.duplicates.keeper import Copy, best, why

SOURCE = Copy("m.jpg", "c", "", real_side=170, side=200, size=5000, mtime_ns=10, format="JPEG")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"real_side": 100, "side": 110, "size": 90000, "format": "PNG"}, "more real detail"),
        ({"real_side": 190, "side": 400, "size": 90000, "format": "PNG"}, "enlarged or blurred"),
        ({"alike": -1, "size": 90000, "format": "PNG"}, "alike to more"),
        ({"real_side": 199, "size": 3000}, "more bytes"),
        ({"size": 3000}, "more bytes"),
        ({"mtime_ns": 11}, "older"),
        ({"path": "z.jpg"}, "path sorts first"),
        ({"format": "WEBP", "size": 4000, "mtime_ns": 1}, "more bytes"),
    ],
)
def test_the_source_wins(changes: dict[str, object], reason: str) -> None:
    other = dataclasses.replace(SOURCE, **({"path": "a.jpg"} | changes))
    if reason == "path sorts first":
        other = dataclasses.replace(SOURCE, path="z.jpg")
    assert best([other, SOURCE]) == best([SOURCE, other]) == SOURCE
    assert reason in why(SOURCE, other)


def test_lossless_beats_more_bytes() -> None:
    lossless = dataclasses.replace(SOURCE, path="z.png", format="PNG", size=100)
    assert best([SOURCE, lossless]) == lossless
    assert "lossless (PNG)" in why(lossless, SOURCE)


def test_a_flat_picture_has_a_keeper_too() -> None:
    flat = dataclasses.replace(SOURCE, real_side=0.0)
    assert best([flat]) == flat
