"""Verdict, action and reason of hand-written rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from curate.photos.contamination import Contamination
from curate.photos.decision import Guard, decide, needed
from curate.tables import PHOTOS

SOME = Contamination(0.2, 0.15, 0.26, 0.8, 0.0, True)
NONE = Contamination(0.0, 0.0, 0.01, 1.0, 0.0, False)


@pytest.fixture
def files() -> pd.DataFrame:
    rows = [
        ("b/sure.png", "c1", "b", "ok"),
        ("a/copy.png", "c1", "a", "ok"),
        ("a/maybe.png", "c2", "a", "ok"),
        ("a/drawn.png", "c3", "a", "ok"),
        ("a/gone.png", "c4", "a", "ok"),
        ("a/broken.png", "c5", "a", "unreadable"),
    ]
    return pd.DataFrame(rows, columns=["path", "content", "label", "status"])


def decided(files: pd.DataFrame, share: Contamination, min_confidence: float = 0.9) -> pd.DataFrame:
    return decide(
        files, ["c1", "c2", "c3"], np.array([0.97, 0.7, 0.1]), share, Guard(min_confidence)
    ).set_index("path")


def test_each_kind_of_row(files):
    found = decided(files, SOME)
    assert found["photo_verdict"].to_dict() == {
        "a/copy.png": "photo",
        "a/drawn.png": "drawing",
        "a/gone.png": "unsure",
        "a/maybe.png": "unsure",
        "b/sure.png": "photo",
    }
    assert found.loc["b/sure.png", "action"] == "remove"
    assert found.loc["a/maybe.png", "action"] == "review"
    assert found.loc["a/drawn.png", "action"] == "keep"
    assert "97.0 %" in found.loc["b/sure.png", "reason"]
    assert "10.0 %" in found.loc["a/drawn.png", "reason"]


def test_what_could_not_be_looked_at_goes_to_a_person(files):
    gone = decided(files, SOME).loc["a/gone.png"]
    assert (gone["photo_verdict"], gone["action"], gone["photo_score"]) == ("unsure", "review", 0.5)
    assert "could not be read" in gone["reason"]


def test_nothing_is_removed_where_there_need_be_no_photograph(files):
    found = decided(files, NONE)
    assert (found["action"] != "remove").all()
    assert found.loc["b/sure.png", "photo_verdict"] == "unsure"
    assert "no sign" in found.loc["b/sure.png", "reason"]


def test_more_confidence_removes_less(files):
    assert decided(files, SOME, 0.98).loc["b/sure.png", "photo_verdict"] == "unsure"
    assert decided(files, SOME, 0.6).loc["a/maybe.png", "photo_verdict"] == "photo"


def test_the_table_is_whole_and_in_order(files):
    found = decide(files, [], np.zeros(0), NONE, Guard(0.9))
    assert list(found.columns) == list(PHOTOS.columns)
    assert found["path"].is_monotonic_increasing
    assert found["photo_score"].dtype == np.float32
    assert "a/broken.png" not in set(found["path"])


def test_a_painted_folder_needs_more_confidence(files):
    painted = Contamination(0.2, 0.15, 0.26, 0.1, 0.7, True)
    assert needed(SOME, 0.6) == pytest.approx(0.6)
    assert 0.85 < needed(painted, 0.6) < 0.95
    assert decided(files, SOME, 0.6).loc["a/maybe.png", "photo_verdict"] == "photo"
    assert decided(files, painted, 0.6).loc["a/maybe.png", "photo_verdict"] == "unsure"
    assert needed(painted, 0.99) == pytest.approx(0.99)
    assert needed(Contamination(1.0, 0.9, 1.0, 0.0, 0.0, True), 0.6) == pytest.approx(0.6)


def test_where_too_many_would_go_none_goes(files):
    found = decide(files, ["c1", "c2", "c3"], np.array([0.97, 0.7, 0.1]), SOME, Guard(0.6, 0.5)).set_index(
        "path"
    )
    assert (found["action"] != "remove").all()
    assert found.loc["b/sure.png", "photo_verdict"] == "unsure"
    assert "more would go than --max-removed allows" in found.loc["b/sure.png", "reason"]
    assert found.loc["a/drawn.png", "action"] == "keep"


def test_what_a_person_said_stands(files):
    said = pd.Series({"c1": False, "c3": True})
    found = decide(files, ["c1", "c2", "c3"], np.array([0.97, 0.7, 0.1]), SOME, Guard(0.9), said).set_index(
        "path"
    )
    assert found.loc["b/sure.png", ["photo_verdict", "action"]].tolist() == ["drawing", "keep"]
    assert found.loc["a/drawn.png", ["photo_verdict", "action"]].tolist() == ["photo", "remove"]
    assert found.loc["a/drawn.png", "photo_score"] == 1
    assert found.loc["a/drawn.png", "reason"] == "a person said so"
    assert found.loc["a/maybe.png", "photo_verdict"] == "unsure"


def test_illustrations_are_looked_for_the_other_way_round(files):
    share = Contamination(0.8, 0.7, 0.9, 0.2, 0.0, True, wanted="illustrations")
    found = decided(files, share)
    assert found["action"].to_dict() == {
        "a/copy.png": "keep",
        "a/drawn.png": "remove",
        "a/gone.png": "review",
        "a/maybe.png": "keep",
        "b/sure.png": "keep",
    }
    assert found.loc["a/drawn.png", "reason"] == "a drawing with probability 90.0 %"
