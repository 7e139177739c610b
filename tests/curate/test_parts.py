"""What parts of a set are called."""

import pytest

from curate.parts import first_part, only_parts, part_of


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"), ("Training", "train"), ("train_set", "train"), ("val", "val"), ("valid", "val"),
        ("validation", "val"), ("dev", "val"), ("TEST", "test"), ("testing images", "test"), ("eval", "test"),
        ("trains", ""), ("seg_train", ""), ("test2", ""), ("tester", ""), ("", ""),
    ],
)  # fmt: skip
def test_part_of(name, part):
    assert part_of(name) == part


def test_numbered_parts_are_parts_too():
    assert only_parts(["train1", "train_2", "val"])
    assert not only_parts(["train", "cat"])


def test_first_part():
    assert first_part(["test", "train2", "val"]) == "train2"
    assert first_part(["test", "val"]) == "test"
    assert first_part(["train", "bus"]) == ""
    assert first_part([]) == ""
