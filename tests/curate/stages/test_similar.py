"""Pairs that look alike to an encoder, on hand-written vectors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from curate.errors import UserError
from curate.pipeline import Context
from curate.stages.similar import SimilarSettings, run, similar_pairs
from curate.tables import PAIRS, SIMILAR
from curate.workspace import Workspace

ANGLES = {"a": 0.0, "b": 2.0, "c": 3.0, "d": 90.0, "e": 100.0, "f": 200.0}  # degrees on a circle


def tables(**angles: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    files = pd.DataFrame(
        {"path": [f"x/{name}.png" for name in angles], "content": list(angles), "label": "x", "status": "ok"}
    )
    turns = np.radians(list(angles.values()))
    vectors = list(np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32))
    return files, pd.DataFrame({"content": list(angles), "vector": vectors})


def listed(found: pd.DataFrame) -> list[tuple[str, str]]:
    return [(a[2], b[2]) for a, b in zip(found["path"], found["other"], strict=True)]


def test_each_others_nearest_the_nearest_first() -> None:
    files, embeddings = tables(**ANGLES)
    found = similar_pairs(files, PAIRS.empty(), embeddings, SimilarSettings(least=0.9))
    assert listed(found) == [("b", "c"), ("d", "e")]
    assert found["score"].tolist() == pytest.approx([np.cos(np.radians(1)), np.cos(np.radians(10))], abs=1e-5)
    assert list(found.columns) == list(SIMILAR.columns)


def test_known_copies_are_left_out_and_do_not_hide_the_next() -> None:
    files, embeddings = tables(**ANGLES)
    pairs = pd.DataFrame([("b", "c", "near", 0.9, "")], columns=list(PAIRS.columns))
    found = similar_pairs(files, pairs, embeddings, SimilarSettings(least=0.9))
    assert listed(found) == [("a", "b"), ("d", "e")]


def test_limits() -> None:
    files, embeddings = tables(**ANGLES)
    assert listed(similar_pairs(files, PAIRS.empty(), embeddings, SimilarSettings(least=0.99))) == [
        ("b", "c")
    ]
    assert listed(similar_pairs(files, PAIRS.empty(), embeddings, SimilarSettings(most=1))) == [("b", "c")]
    assert similar_pairs(files[:1], PAIRS.empty(), embeddings[:1], SimilarSettings()).empty


def test_settings_that_mean_nothing_are_refused(tmp_path) -> None:
    with pytest.raises(UserError, match="out of range"):
        run(Context(Workspace.open(tmp_path)), SimilarSettings(least=2))
