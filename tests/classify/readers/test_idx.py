import gzip
import struct

import numpy as np
import pytest

from classify.data.dataset import read_dataset
from classify.data.sources import find_source
from classify.labelled import LabelledPictures
from classify.weights import Preprocessing
from curate.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 6, 5), np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 3


def idx(values):
    return bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def write(folder, begin, images=IMAGES, labels=LABELS, packed=False):
    folder.mkdir(exist_ok=True, parents=True)
    for name, values in (("images-idx3", images), ("labels-idx1", labels)):
        data = values if isinstance(values, bytes) else idx(values)
        path = folder / f"{begin}-{name}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(data) if packed else data)
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_the_training_part_and_the_test_part(tmp_path, packed):
    root = write(tmp_path / "digits", "train", packed=packed)
    write(root, "t10k", IMAGES[:4], LABELS[:4], packed=packed)
    source = find_source(root)
    assert source.labels == [str(number) for number in LABELS]
    assert source.paths[3] == "train-images[3]"
    np.testing.assert_array_equal(np.stack(source.items), IMAGES)
    data = read_dataset(source, Preprocessing(8, "stretch"), val=0.3, workers=1)
    assert data.classes == ["0", "1", "2"]
    assert data.train.images.shape[1:] == (8, 8, 3)
    test = LabelledPictures.open(root, ["2", "1", "0", "3"])
    assert test.paths == [f"t10k-images[{index}]" for index in range(4)]
    assert test.folders == ["0", "1", "2", "0"]


def test_names_with_dots_and_a_pack_beside_the_plain_file(tmp_path):
    root = write(tmp_path / "digits", "train")
    write(root, "train", IMAGES[:4], LABELS[:4], packed=True)
    assert len(find_source(root).items) == 12
    dotted = write(tmp_path / "dotted", "train", packed=True)
    for path in list(dotted.iterdir()):
        path.rename(dotted / path.name.replace("-idx", ".idx"))
    assert len(find_source(dotted).items) == 12
    (
        dotted / "train-images-idx3-ubyte"
    ).mkdir()  # as one site's archive unpacks: a folder of the other spelling
    assert len(find_source(dotted).items) == 12


def test_the_folder_above_will_do(tmp_path):
    write(tmp_path / "MNIST" / "raw", "train")
    assert find_source(tmp_path / "MNIST").paths[0] == "train-images[0]"
    write(tmp_path / "MNIST" / "old", "train")
    with pytest.raises(UserError):
        read_dataset(find_source(tmp_path / "MNIST"), Preprocessing(8), workers=1)


def test_emnist_is_turned_and_its_classes_have_their_characters(tmp_path):
    root = write(tmp_path / "letters", "emnist-letters-train", packed=True)
    (root / "emnist-letters-mapping.txt").write_text("0 97 65\n1 98 66\n")
    source = find_source(root)
    assert source.labels[:4] == ["a", "b", "2", "a"]
    assert source.paths[0] == "emnist-letters-train-images[0]"
    np.testing.assert_array_equal(source.items[1], IMAGES[1].T)
    (root / "emnist-letters-mapping.txt").write_text("zero 97\n")
    with pytest.raises(UserError, match="does not hold a label and the code of a character"):
        find_source(root)


def test_several_sets_in_one_folder_are_not_guessed_at(tmp_path):
    root = write(tmp_path / "all", "emnist-letters-train")
    write(root, "emnist-digits-train")
    with pytest.raises(UserError, match="2 sets \\(emnist-digits, emnist-letters\\)"):
        find_source(root)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (b"\x89PNG and so on and on", LABELS, "it begins with 89 50 4e 47, not with 00 00 08 03"),
        (b"", LABELS, "it begins with nothing"),
        (LABELS, LABELS, "not with 00 00 08 03"),
        (IMAGES, IMAGES, "is no idx file of labels"),
        (idx(IMAGES)[:-1], LABELS, "12 x 6 x 5 values (360 bytes), but 359 bytes follow"),
        (idx(IMAGES) + b"x", LABELS, "but more than 360 bytes follow"),
        (idx(IMAGES)[:4] + b"\xff" * 12 + b"x", LABELS, "its head promises"),
        (IMAGES, LABELS[:11], "holds 12 pictures, but train-labels-idx1-ubyte 11 labels"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, images, labels, message):
    root = write(tmp_path / "digits", "train", images, labels)
    with pytest.raises(UserError) as caught:
        find_source(root)
    assert message in caught.value.message
    assert "train-" in caught.value.message


def test_a_pack_that_is_cut_short_or_none(tmp_path):
    root = write(tmp_path / "digits", "train", packed=True)
    path = root / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cut short or damaged"):
        find_source(root)
    path.write_bytes(b"words, not a gzip file")
    with pytest.raises(UserError, match="cannot be read"):
        find_source(root)


def test_a_part_or_a_file_that_is_missing(tmp_path):
    root = write(tmp_path / "digits", "t10k")
    with pytest.raises(UserError, match="has a test part, but no training part"):
        find_source(root)
    (root / "t10k-labels-idx1-ubyte").rename(root / "train-labels-idx1-ubyte")
    with pytest.raises(UserError, match="holds train-labels-idx1-ubyte, but not train-images-idx3-ubyte"):
        find_source(root)
    with pytest.raises(UserError, match="holds t10k-images-idx3-ubyte, but not t10k-labels-idx1-ubyte"):
        LabelledPictures.open(root, ["0", "1"])


@pytest.mark.parametrize("name", ["mnist", "Fashion-MNIST", "EMNIST", "cifar-10", "cifar100"])
def test_a_known_set_that_is_not_there_says_where_to_get_it(tmp_path, name):
    for look in (find_source, lambda place: LabelledPictures.open(place, ["0", "1"])):
        with pytest.raises(UserError) as caught:
            look(tmp_path / name)
        assert "no such folder" in caught.value.message
        assert "Nothing is downloaded. Get the set from the page" in caught.value.remedy
        assert "it must hold" in caught.value.remedy
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=r"is empty.*it must hold"):
        find_source(tmp_path / name)
