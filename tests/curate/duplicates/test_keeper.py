"""The keeper's rule, one difference at a time."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.duplicates.keeper import Copy, best, costs, why, within
from curate.duplicates.provenance import Case

SOURCE = Copy("m.jpg", "c", "", real_side=170, side=200, size=5000, mtime_ns=10, format="JPEG")


def other(**changes: object) -> Copy:
    return dataclasses.replace(SOURCE, **({"path": "a.jpg", "content": "d"} | changes))  # type: ignore[arg-type]


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
def test_the_source_wins_where_no_pixels_were_compared(changes: dict[str, object], reason: str) -> None:
    copy = other(**changes)
    assert best([copy, SOURCE]) == best([SOURCE, copy]) == SOURCE
    assert reason in why(SOURCE, copy)


def test_lossless_beats_more_bytes() -> None:
    lossless = other(format="PNG", size=100)
    assert best([SOURCE, lossless]) == lossless
    assert "lossless (PNG)" in why(lossless, SOURCE)


def test_of_equal_pixels_the_lossy_file_is_the_source() -> None:
    lossless = other(format="PNG", size=90000, picture="c")
    assert best([lossless, SOURCE]) == SOURCE
    assert "made from the kept JPEG" in why(SOURCE, lossless)


def test_a_flat_picture_has_a_keeper_too() -> None:
    flat = dataclasses.replace(SOURCE, real_side=0.0)
    assert best([flat]) == flat


def test_the_pixels_word_comes_before_detail_and_bytes() -> None:
    copy = other(real_side=400, side=400, size=90000, format="PNG")
    cases = {("c", "d"): Case(1.0, 5.0, "has a border, 20 % of its area", "")}
    assert best([copy, SOURCE], cases) == SOURCE
    assert why(SOURCE, copy, [copy, SOURCE], cases) == "has a border, 20 % of its area"


def test_without_a_word_the_cost_itself_is_named() -> None:
    copy = other(size=90000)
    cases = {("c", "d"): Case(1.0, 2.0, "", "")}
    assert "1.0 against 2.0" in why(SOURCE, copy, [copy, SOURCE], cases)


def test_nearly_equal_costs_leave_it_to_the_rest_of_the_rule() -> None:
    copy = other(size=90000)
    cases = {("c", "d"): Case(1.0, 1.01, "mirrored", "mirrored")}
    assert best([copy, SOURCE], cases) == copy
    assert "more bytes" in why(copy, SOURCE, [copy, SOURCE], cases)


def test_the_one_in_the_middle_is_the_source() -> None:
    """Mirrored, turned: each copy is one edit from the source and two from the other."""
    copies = [other(path=f"{c}.jpg", content=c, size=size) for c, size in (("a", 9), ("b", 5), ("c", 7))]
    cases = {pair: Case(1, 1, "", "") for pair in (("a", "b"), ("b", "c"))} | {("a", "c"): Case(2, 2, "", "")}
    assert best(copies, cases).content == "b"


def test_what_was_not_compared_is_a_bad_source() -> None:
    copies = [other(path=f"{c}.jpg", content=c) for c in "abc"]
    cases = {("a", "b"): Case(1, 1, "", ""), ("b", "c"): Case(1, 1, "", "")}
    assert best(copies, cases).content == "b"
    assert costs(copies, {}) == {}


def test_a_preferred_folder_comes_first_in_the_order_named() -> None:
    good, better = other(path="good/a.jpg"), other(path="better/b/a.jpg", content="e")
    worst = {("c", "d"): Case(0, 9, "blurred", ""), ("c", "e"): Case(0, 9, "blurred", "")}
    assert best([SOURCE, good, better], worst) == SOURCE
    assert best([SOURCE, good, better], worst, ["better", "good"]) == better
    assert best([SOURCE, good], worst, ["better", "good/"]) == good
    assert (
        why(good, SOURCE, [good, SOURCE], worst, ["good"]) == "the kept file lies in good, which is preferred"
    )


@pytest.mark.parametrize(
    ("path", "folder", "inside"),
    [
        ("cat/a.jpg", "cat", True),
        ("cat/a.jpg", "./cat/", True),
        ("cats/a.jpg", "cat", False),
        ("x/cat/a.jpg", "cat", False),
        ("x/cat/a.jpg", "x/cat", True),
        ("a.jpg", ".", True),
        ("a.jpg", "", True),
    ],
)
def test_within(path: str, folder: str, inside: bool) -> None:
    assert within(path, folder) is inside


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 90, 100, 170]),
            st.sampled_from([100.0, 200]),
            st.integers(1, 3),
            st.integers(1, 2),
            st.sampled_from(["JPEG", "PNG", "WEBP"]),
            st.sampled_from(["", "p0"]),
        ),
        min_size=1,
        max_size=6,
    ),
    st.dictionaries(
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
        st.tuples(st.floats(0, 5), st.floats(0, 5)),
        max_size=9,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_files_does_not_matter(rows: list, told: dict, random: object) -> None:  # type: ignore[type-arg]
    copies = [Copy(f"{i}.x", f"p{i}", "", *row[:5], picture=row[5]) for i, row in enumerate(rows)]
    cases = {(f"p{i}", f"p{j}"): Case(x, y, "", "") for (i, j), (x, y) in told.items() if i < j}
    kept = best(copies, cases)
    for order in itertools.islice(itertools.permutations(copies), 24):
        assert best(order, cases) == kept
