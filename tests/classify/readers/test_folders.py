import numpy as np
import pytest
from PIL import Image

from classify.data.dataset import read_dataset
from classify.data.sources import find_source
from classify.weights import Preprocessing
from curate.errors import UserError


def folders(root, *names, seed=0):
    for name in names:
        (root / name).mkdir(parents=True)
        for index in range(2):
            seed += 1
            values = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(values).save(root / name / f"{index}.png")
    return root


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_a_validation_folder_beside_the_training_folder(tmp_path, val):
    root = folders(tmp_path / "set", "train/a", "train/b", f"{val}/a", f"{val}/b", "test/a")
    source = find_source(root)
    assert source.splits == ["train"] * 4 + ["val"] * 4
    assert source.paths[0] == "train/a/0.png"
    assert source.paths[4] == f"{val}/a/0.png"
    assert any(note.startswith(f"Training part: train; validation part: {val}") for note in source.notes)
    data = read_dataset(source, Preprocessing(16), workers=1)
    assert (len(data.train), len(data.val)) == (4, 4)


def test_copies_on_both_sides_are_said(tmp_path):
    root = folders(tmp_path / "set", "train/a", "train/b", "val/a", "val/b")
    (root / "val/a/0.png").write_bytes((root / "train/a/1.png").read_bytes())
    notes = read_dataset(find_source(root), Preprocessing(16), workers=1).notes
    assert "Of the 4 pictures for validation 1 is in the training part too: its scores flatter." in notes


@pytest.mark.parametrize(
    "names",
    [
        ["train/a", "train/b", "test/a", "test/b"],
        ["train/a", "train/b", "val/a", "valid/a"],
        ["train/a", "train/b", "train.curate/a", "val/a"],
    ],
)
def test_parts_that_are_not_clear_are_not_guessed_at(tmp_path, names):
    root = folders(tmp_path / "set", *names)
    with pytest.raises(UserError, match="are parts") as caught:
        find_source(root)
    assert caught.value.remedy == f"Give the training part: {root / 'train'}."


def test_an_archive_is_to_be_unpacked(tmp_path):
    place = tmp_path / "set.tar.gz"
    place.write_bytes(b"x")
    with pytest.raises(UserError, match="Unpack it"):
        find_source(place)
