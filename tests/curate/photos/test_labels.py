"""Few labels: what people said, examples, and what they teach."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from curate.errors import UserError
from curate.photos.labels import Taught, learn, read_examples, said


class Middle:
    """An encoder for tests: the mean colour of a picture."""

    def embed(self, images: list[np.ndarray]) -> np.ndarray:
        return np.array([image.mean(axis=(0, 1)) for image in images], np.float32)


def test_only_words_on_single_pictures_count_and_pairs_do_not():
    verdicts = pd.DataFrame(
        [("c1", "", "photo"), ("c2", "", "drawing"), ("c1", "c2", "same")],
        columns=["content", "other", "verdict"],
    )
    assert said(verdicts).to_dict() == {"c1": True, "c2": False}
    assert said(verdicts[:0]).empty


def test_examples_are_read_with_their_kind(tmp_path):
    for name, colour in (("photos", "red"), ("drawings", "blue")):
        (tmp_path / name / "deep").mkdir(parents=True)
        Image.new("RGB", (20, 20), colour).save(tmp_path / name / "deep" / "one.png")
    taught = read_examples(str(tmp_path), Middle())
    assert len(taught) == 2
    np.testing.assert_array_equal(taught.vectors[taught.photo], [[255, 0, 0]])


@pytest.mark.parametrize("missing", ["photos", "drawings", "both"])
def test_examples_of_one_kind_alone_teach_nothing_and_are_told(tmp_path, missing):
    for name in {"photos", "drawings"} - {missing}:
        if missing != "both":
            (tmp_path / name).mkdir()
            Image.new("RGB", (20, 20)).save(tmp_path / name / "one.png")
    with pytest.raises(UserError, match="no examples of"):
        read_examples(str(tmp_path), Middle())


def test_a_broken_example_is_named(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"broken\.jpg: cannot be read as an example"):
        read_examples(str(tmp_path), Middle())


def test_a_few_labels_move_what_is_like_them():
    rng = np.random.default_rng(0)
    truth = np.arange(200) < 60
    vectors = (rng.normal(0, 1, (200, 16)) + 2 * truth[:, None]).astype(np.float32)
    few = np.r_[0:5, 60:65]
    odds = learn(vectors, Taught(vectors[few], truth[few]))
    assert odds[truth].mean() > 1
    assert odds[~truth].mean() < -1


def test_labels_of_one_kind_or_none_move_nothing():
    vectors = np.random.default_rng(0).normal(0, 1, (9, 4)).astype(np.float32)
    for taught in (Taught(vectors[:0], np.zeros(0, bool)), Taught(vectors[:3], np.ones(3, bool))):
        assert (learn(vectors, taught) == 0).all()
