import numpy as np
import pytest

from classify.data.dataset import read_dataset
from classify.data.sources import find_source
from classify.labelled import LabelledPictures
from classify.weights import Preprocessing
from curate.errors import UserError

TEN = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)


def records(labels, before=b"", seed=0):
    return b"".join(
        before + bytes([label]) + picture(seed + index).transpose(2, 0, 1).tobytes()
        for index, label in enumerate(labels)
    )


@pytest.fixture
def ten(tmp_path):
    root = tmp_path / "cifar-10-batches-bin"
    root.mkdir()
    for number in range(1, 6):
        (root / f"data_batch_{number}.bin").write_bytes(records([0, 3], seed=10 * number))
    (root / "test_batch.bin").write_bytes(records([9], seed=99))
    (root / "batches.meta.txt").write_text("\n".join(TEN) + "\n\n")
    return root


def test_both_parts_of_cifar_10(ten):
    source = find_source(ten)
    assert source.labels == ["airplane", "cat"] * 5
    assert source.paths[2:4] == ["data_batch_2.bin[0]", "data_batch_2.bin[1]"]
    np.testing.assert_array_equal(source.items[3], picture(21))
    data = read_dataset(source, Preprocessing(32), val=0.2, workers=1)
    everything = np.concatenate([data.train.images, data.val.images])
    assert (everything == picture(21)).all((1, 2, 3)).any()
    test = LabelledPictures.open(ten, TEN)
    assert (test.paths, test.folders) == (["test_batch.bin[0]"], ["truck"])


def test_cifar_100_has_its_fine_classes(tmp_path):
    (tmp_path / "train.bin").write_bytes(records([0, 99], b"\x07"))
    (tmp_path / "fine_label_names.txt").write_text("\n".join(f"fine {n}" for n in range(100)))
    assert find_source(tmp_path).labels == ["fine 0", "fine 99"]
    with pytest.raises(UserError, match="no test part"):
        LabelledPictures.open(tmp_path, ["fine 0"])


@pytest.mark.parametrize("names", [["data_batch_1", "batches.meta"], ["meta", "test", "train"]])
def test_pickles_are_refused_unread(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"\x80\x02cos\nsystem\n(S'false'\ntR.")
    for look in (find_source, lambda place: LabelledPictures.open(place, TEN)):
        with pytest.raises(UserError, match="pickles, which can run any code") as caught:
            look(tmp_path)
        assert "binary version" in caught.value.remedy
        assert ("data_batch_1.bin" if "data_batch_1" in names else "train.bin") in caught.value.remedy


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("data_batch_3.bin", None, "data_batch_3.bin of CIFAR-10 is missing"),
        ("batches.meta.txt", None, "batches.meta.txt of CIFAR-10 is missing"),
        ("batches.meta.txt", b"cat\ndog\n", "names 2 classes; CIFAR-10 has 10"),
        ("data_batch_2.bin", b"x" * 4000, "has 4,000 bytes, which is no multiple of 3,073"),
        ("data_batch_2.bin", b"", "has 0 bytes"),
        ("data_batch_2.bin", records([10]), "has the label 10; those of CIFAR-10 are 0 to 9"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(ten, file, data, message):
    if data is None:
        (ten / file).unlink()
    else:
        (ten / file).write_bytes(data)
    with pytest.raises(UserError) as caught:
        find_source(ten)
    assert message in caught.value.message
    assert caught.value.remedy
