"""Folds that copies cannot leak through, and out-of-fold probabilities that a kill loses at most one fold of."""

from __future__ import annotations

import numpy as np
import pytest

from classify import training
from classify.data.readers.folders import from_folders
from classify.folds import by_embeddings, by_training, embedded, folds_of
from curate.encoders import BuiltinEncoder
from curate.errors import UserError


def test_groups_stay_together_and_classes_are_spread():
    labels = ["ant"] * 20 + ["bee"] * 10
    contents = [f"{index:02d}" for index in range(30)]
    group = np.array([index // 2 for index in range(30)])
    fold = folds_of(labels, contents, group, 5, seed=0)
    assert (fold[::2] == fold[1::2]).all()
    assert np.bincount(fold[:20]).tolist() == [4] * 5
    assert np.bincount(fold[20:]).tolist() == [2] * 5
    assert (fold != folds_of(labels, contents, group, 5, seed=1)).any()


def test_the_order_of_files_has_no_say():
    random = np.random.default_rng(0)
    labels = [("ant", "bee", "cat")[index % 3] for index in range(40)]
    contents = [f"{index:02d}" for index in range(40)]
    group = random.integers(0, 25, 40)
    fold = folds_of(labels, contents, group, 4, seed=0)
    order = random.permutation(40)
    moved = folds_of(
        [labels[i] for i in order], [contents[i] for i in order], (group[order] + 7) % 25, 4, seed=0
    )
    assert (moved == fold[order]).all()


def test_what_is_known_is_not_embedded_again(monkeypatch):
    seen = []

    def embed(self, images):
        seen.append(len(images))
        return np.ones((len(images), 192), np.float32)

    monkeypatch.setattr(BuiltinEncoder, "__init__", lambda self: None)
    monkeypatch.setattr(BuiltinEncoder, "embed", embed)
    images = np.zeros((3, 160, 160, 3), np.uint8)
    known = {"b": np.full(192, 5, np.float32)}
    vectors = embedded(images, ["a", "b", "c"], known)
    assert vectors[:, 0].tolist() == [1, 5, 1]
    assert seen == [2]
    embedded(images[:1], ["b"], known)
    assert seen == [2]


def test_no_picture_is_judged_by_what_saw_it():
    """Vectors that say nothing, so whoever saw a picture's label would know it, and nobody else could."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(200, 300)).astype(np.float32)
    labels = random.integers(0, 2, 200)
    belief = by_embeddings(vectors, labels, np.arange(200) % 5, 2)
    assert belief.sum(1) == pytest.approx(np.ones(200))
    assert 0.35 < (belief.argmax(1) == labels).mean() < 0.65


def test_a_class_that_a_fold_lacks_has_no_probability_there():
    vectors = np.eye(6, dtype=np.float32)
    labels = np.array([0, 0, 1, 1, 2, 2])
    belief = by_embeddings(vectors, labels, np.array([0, 1, 0, 1, 0, 0]), 3)
    assert (belief[[0, 2, 4, 5], 2] == 0).all()
    assert (belief[[1, 3], 2] > 0).all()


def test_trainings_go_on_fold_by_fold(stripes, tiny, tmp_path, monkeypatch):
    source = from_folders(stripes)
    contents = list(source.paths)
    fold = np.arange(len(contents)) % 2
    place = tmp_path / "folds"
    learnt = []
    original = training.train

    def watched(given, run, *rest, **more):
        learnt.append((run.name, len(given.paths), more["resume"]))
        return original(given, run, *rest, **more)

    monkeypatch.setattr(training, "train", watched)
    belief = by_training(source, contents, fold, tiny, place, workers=1)
    assert belief.shape == (24, 2)
    assert belief.sum(1) == pytest.approx(np.ones(24), abs=1e-5)
    assert learnt == [("fold-1", 12, False), ("fold-2", 12, False)]
    assert (by_training(source, contents, fold, tiny, place, workers=1) == belief).all()
    assert len(learnt) == 2
    (place / "fold-2" / "probabilities.npy").unlink()  # as where a kill came before the last step
    assert by_training(source, contents, fold, tiny, place, workers=1) == pytest.approx(belief)
    assert learnt[2:] == [("fold-2", 12, True)]
    with pytest.raises(UserError, match="other pictures, labels or settings"):
        by_training(source, contents, 1 - fold, tiny, place, workers=1)
