import numpy as np
import pytest
from PIL import Image

from classify.data.dataset import read_dataset
from classify.data.sources import find_source
from classify.labelled import LabelledPictures
from classify.weights import Preprocessing
from curate.errors import UserError

ROWS = [
    ("x/0.png", "cat", "train"),
    ("1.png", "dog", "Training"),
    ("2.png", "cat", "valid"),
    ("3.png", "dog", "test"),
]


def pictures(tmp_path):
    (tmp_path / "x").mkdir()
    for index, (path, _, _) in enumerate(ROWS):
        values = np.random.default_rng(index).integers(0, 256, (12, 12, 3), np.uint8)
        Image.fromarray(values).save(tmp_path / path)


def table(tmp_path, text):
    place = tmp_path / "labels.csv"
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return place


def test_all_rows_are_for_either_purpose_where_no_split_is_given(tmp_path):
    pictures(tmp_path)
    absolute = tmp_path / "1.png"
    place = table(tmp_path, f"label,path,artist\r\ncat,x/0.png,A\r\ndog,{absolute},B\r\n\r\ncat,2.png,\r\n")
    source = find_source(place)
    assert source.paths == ["x/0.png", str(absolute), "2.png"]
    assert source.labels == ["cat", "dog", "cat"]
    assert source.splits is None
    data = read_dataset(source, Preprocessing(12), workers=1)
    assert len(data.train) + len(data.val) == 3
    test = LabelledPictures.open(place, ["dog", "cat", "bird"])
    assert test.folders == source.labels
    assert test.items == source.items
    assert test.notes() == ["1 class has no label: bird."]


def test_the_column_split_decides(tmp_path):
    pictures(tmp_path)
    place = table(tmp_path, "\ufeffpath,label,split\n" + "\n".join(map(",".join, ROWS)))
    source = find_source(place)
    assert source.paths == ["x/0.png", "1.png", "2.png"]
    assert source.splits == ["train", "train", "val"]
    data = read_dataset(source, Preprocessing(12), workers=1)
    assert (len(data.train), len(data.val)) == (2, 1)
    test = LabelledPictures.open(place, ["dog", "cat"])
    assert test.paths == ["3.png"]
    assert test.folders == ["dog"]


def test_without_a_test_part_the_validation_part_is_judged_and_that_is_said(tmp_path):
    place = table(tmp_path, "path,label,split\n0.png,cat,train\n1.png,dog,val\n")
    test = LabelledPictures.open(place, ["dog", "cat"])
    assert test.paths == ["1.png"]
    assert any("validation part is judged" in note for note in test.notes())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (
            "file,class\n1.png,cat\n",
            "has no column path and no column label; its first line names: file, class",
        ),
        ("path;label\n1.png;cat\n", "Separate the columns by commas"),
        ("path,label,path\n1.png,cat,2.png\n", "has the column path twice"),
        ("path,label\n", "names no pictures"),
        ("path,label\n1.png,cat\n2.png,\n", "line 3: the label is empty"),
        ("path,label\n,cat\n", "line 2: the path is empty"),
        ("path,label\n1.png,cat\n1.png,dog\n", "line 3: 1.png stands on line 2 already"),
        ("path,label\n1.png,cat,x\n", "line 2: has more values"),
        ("path,label,split\n1.png,cat,trian\n", "line 2: 'trian' is no split. Did you mean 'train'?"),
        ("path,label,split\n1.png,cat,validatoin\n", "'validatoin' is no split. Did you mean 'validation'?"),
        ("path,label,split\n1.png,cat,test\n", "has a test part, but no training part"),
        ("path,label\n1.png,cat\n2.png,cat\n", "only one class, 'cat'"),
        (b"path,label\n\xff.png,cat\n", "is not UTF-8"),
        ('path,label\n"1.png,cat\n', "is not valid CSV"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, message):
    place = table(tmp_path, text)
    with pytest.raises(UserError) as caught:
        find_source(place)
    assert message in " ".join((caught.value.message, caught.value.remedy))
    assert str(place) in caught.value.message


def test_a_training_part_alone_is_not_judged(tmp_path):
    place = table(tmp_path, "path,label,split\n1.png,cat,train\n2.png,dog,train\n")
    with pytest.raises(UserError, match="no test part"):
        LabelledPictures.open(place, ["cat", "dog"])


def test_files_that_are_missing_are_named(tmp_path):
    pictures(tmp_path)
    place = table(tmp_path, "path,label\nx/0.png,cat\n1.png,dog\nlost.png,dog\n")
    data = read_dataset(find_source(place), Preprocessing(12), workers=1)
    assert any("lost.png" in note for note in data.notes)
    place = table(tmp_path, "path,label\nlost.png,cat\ngone.png,dog\n")
    with pytest.raises(UserError, match=r"none of its 2 files .* there is no such file"):
        read_dataset(find_source(place), Preprocessing(12), workers=1)


def test_labels_that_are_no_classes(tmp_path):
    place = table(tmp_path, "path,label\n1.png,cat\n2.png,dog\n")
    with pytest.raises(
        UserError, match=r"none of its labels is a class of the weights\. Its labels: cat, dog"
    ):
        LabelledPictures.open(place, ["a", "b"])
