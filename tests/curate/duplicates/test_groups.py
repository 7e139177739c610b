"""Groups from ten hand-written rows: nothing chains, conflicts are left to people."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.duplicates.groups import all_pairs, assemble
from curate.duplicates.provenance import Case
from curate.tables import DUPLICATES


def files(*rows: tuple[str, str], **changes: dict[str, object]) -> pd.DataFrame:
    """(path, content) rows; the label is the folder; `changes` maps a column to {path: value}."""
    frame = pd.DataFrame(rows, columns=["path", "content"])
    frame["label"] = [path.split("/")[0] if "/" in path else "" for path in frame["path"]]
    for column, value in (
        ("real_side", 100.0),
        ("side", 100.0),
        ("size", 1000),
        ("mtime_ns", 5),
        ("format", "PNG"),
    ):
        frame[column] = [changes.get(column, {}).get(path, value) for path in frame["path"]]
    return frame


def pairs(*rows: tuple[str, str, str, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["content_a", "content_b", "tier", "score"])
    frame["evidence"] = "measured"
    return frame


def actions(frame: pd.DataFrame) -> dict[str, str]:
    return dict(zip(frame["path"], frame["action"], strict=True))


def test_exact_copies_keep_the_older_then_the_first_path() -> None:
    found = assemble(files(("b.png", "x"), ("a.png", "x"), ("c.png", "x"), mtime_ns={"c.png": 1}), pairs())
    assert actions(found) == {"a.png": "remove", "b.png": "remove", "c.png": "keep"}
    assert set(found["tier"]) == {"exact"}
    assert "the kept file is older" in found["reason"][0]
    assert list(found.columns) == list(DUPLICATES.columns)


def test_no_duplicates_and_no_files_give_an_empty_table() -> None:
    assert assemble(files(("a.png", "x"), ("b.png", "y")), pairs()).empty
    assert assemble(files(), pairs()).empty
    assert all_pairs(DUPLICATES.empty(), pairs()).empty


def test_a_chain_is_not_collapsed() -> None:
    names = "abcdefg"
    found = assemble(
        files(*((f"{n}.png", n) for n in names)),
        pairs(*((a, b, "near", 0.9) for a, b in itertools.pairwise(names))),
    )
    linked = set(itertools.pairwise(names))
    for row in found[found["action"] == "remove"].itertuples():
        assert tuple(sorted((row.content, row.keeper[0]))) in linked
    assert found.groupby("group").size().max() <= 3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.floats(0.87, 1)), max_size=30),
    st.lists(st.integers(50, 200), min_size=10, max_size=10),
)
def test_every_removed_file_is_linked_to_a_file_that_is_kept(
    edges: list[tuple[int, int, float]], sides: list[int]
) -> None:
    best: dict[tuple[str, str], float] = {}
    for a, b, score in edges:
        if a != b:
            best.setdefault((f"c{min(a, b)}", f"c{max(a, b)}"), score)
    paths = [(f"{i}.png", f"c{i}") for i in range(10)]
    table = files(*paths, real_side={f"{i}.png": float(side) for i, side in enumerate(sides)})
    found = assemble(table, pairs(*((a, b, "near", score) for (a, b), score in best.items())))
    action = actions(found)
    content = dict(paths)
    for row in found[found["action"] == "remove"].itertuples():
        assert action[row.keeper] == "keep"
        assert tuple(sorted((row.content, content[row.keeper]))) in best
    assert found["path"].is_unique
    shuffled = assemble(
        table.sample(frac=1, random_state=1), pairs(*((a, b, "near", s) for (a, b), s in best.items()))
    )
    pd.testing.assert_frame_equal(found, shuffled)


def test_pixel_copies_share_their_picture_s_near_links() -> None:
    found = assemble(
        files(("a.bmp", "1"), ("a.png", "2"), ("edit.png", "3"), size={"a.bmp": 9000}),
        pairs(("1", "2", "pixel", 1.0), ("1", "3", "near", 0.9)),
    )
    assert actions(found) == {"a.bmp": "keep", "a.png": "remove", "edit.png": "remove"}
    assert dict(zip(found["path"], found["tier"], strict=True)) == {
        "a.bmp": "pixel",
        "a.png": "pixel",
        "edit.png": "near",
    }
    listed = all_pairs(found, pairs(("1", "2", "pixel", 1.0), ("1", "3", "near", 0.9)))
    assert listed.values.tolist() == [
        ["a.bmp", "a.png", "pixel", 1.0, False],
        ["a.bmp", "edit.png", "near", 0.9, False],
        ["a.png", "edit.png", "near", 0.9, False],
    ]


def test_all_pairs_takes_the_weaker_link_where_two_were_not_compared() -> None:
    links = pairs(("1", "2", "near", 0.95), ("1", "3", "near", 0.9))
    found = assemble(files(("a.png", "1"), ("b.png", "2"), ("c.png", "3"), size={"a.png": 5000}), links)
    listed = all_pairs(found, links).set_index(["a", "b"])
    assert listed.loc[("b.png", "c.png"), "score"] == pytest.approx(0.9)
    assert listed.loc[("a.png", "b.png"), "score"] == pytest.approx(0.95)


def test_a_conflict_is_reviewed_and_names_the_other_label() -> None:
    found = assemble(files(("cat/a.png", "x"), ("cat/b.png", "x"), ("dog/c.png", "x")), pairs())
    assert set(found["action"]) == {"review"}
    assert found["conflict"].all()
    assert "'dog' as dog/c.png" in found.set_index("path").loc["cat/a.png", "reason"]
    assert "'cat' as cat/a.png" in found.set_index("path").loc["dog/c.png", "reason"]


def test_majority_settles_a_conflict_and_a_tie_stays_for_review() -> None:
    found = assemble(files(("cat/a.png", "x"), ("cat/b.png", "x"), ("dog/c.png", "x")), pairs(), "majority")
    assert actions(found) == {"cat/a.png": "keep", "cat/b.png": "remove", "dog/c.png": "remove"}
    tie = assemble(files(("cat/a.png", "x"), ("dog/c.png", "x")), pairs(), "majority")
    assert set(tie["action"]) == {"review"}


def test_the_pixels_decide_who_is_kept_and_why() -> None:
    table = files(("a.png", "1"), ("b.png", "2"), size={"b.png": 9000})
    cases = {("1", "2"): Case(1.0, 4.0, "has a border, 20 % of its area", "")}
    found = assemble(table, pairs(("1", "2", "near", 0.9)), cases=cases)
    assert actions(found) == {"a.png": "keep", "b.png": "remove"}
    assert found["reason"][1].endswith("; has a border, 20 % of its area")
    assert actions(assemble(table, pairs(("1", "2", "near", 0.9)))) == {"a.png": "remove", "b.png": "keep"}


def test_cases_of_a_picture_hold_for_all_files_with_its_pixels() -> None:
    table = files(("a.bmp", "1"), ("a.png", "2"), ("edit.png", "3"), size={"edit.png": 9000})
    links = pairs(("1", "2", "pixel", 1.0), ("1", "3", "near", 0.9))
    found = assemble(table, links, cases={("1", "3"): Case(1.0, 4.0, "blurred", "")})
    assert actions(found) == {"a.bmp": "keep", "a.png": "remove", "edit.png": "remove"}
    assert found.set_index("path").loc["edit.png", "reason"].endswith("blurred")


def test_a_preferred_folder_is_kept_from_before_all_else() -> None:
    table = files(("good/b.png", "x"), ("old/a.png", "x"), mtime_ns={"old/a.png": 1})
    table["label"] = "cat"
    assert actions(assemble(table, pairs())) == {"good/b.png": "remove", "old/a.png": "keep"}
    found = assemble(table, pairs(), prefer=["good"])
    assert actions(found) == {"good/b.png": "keep", "old/a.png": "remove"}
    assert "lies in good, which is preferred" in found["reason"][1]


def test_nothing_of_a_protected_folder_is_removed() -> None:
    table = files(("a.png", "x"), ("safe/b.png", "x"), ("safer/c.png", "x"))
    table["label"] = "cat"
    found = assemble(table, pairs(), protect=["safe"])
    assert actions(found) == {"a.png": "keep", "safe/b.png": "keep", "safer/c.png": "remove"}
    reasons = found.set_index("path")["reason"]
    assert "the same bytes as a.png; kept all the same: safe is protected" in reasons["safe/b.png"]


def test_majority_removes_nothing_that_is_protected() -> None:
    table = files(("cat/a.png", "x"), ("cat/b.png", "x"), ("dog/c.png", "x"))
    found = assemble(table, pairs(), "majority", protect=["dog"])
    assert actions(found) == {"cat/a.png": "keep", "cat/b.png": "remove", "dog/c.png": "keep"}
