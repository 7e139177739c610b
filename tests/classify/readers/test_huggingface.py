import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from classify.data.cache import read_pictures
from classify.data.dataset import read_dataset
from classify.data.sources import find_source
from classify.labelled import LabelledPictures
from classify.weights import Preprocessing
from curate.errors import UserError

CLASSES = ["cat", "dog", "emu"]
FEATURES = {"image": {"_type": "Image"}, "label": {"names": CLASSES, "_type": "ClassLabel"}}
SIXTEEN = Preprocessing(16)


def array(seed):
    return np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)


def png(seed):
    stream = io.BytesIO()
    Image.fromarray(array(seed)).save(stream, "png")
    return stream.getvalue()


def rows(labels, features=FEATURES, image="image", label="label", seed=0):
    """A table as `datasets` lays it out; `features` None: without its metadata."""
    images = [{"bytes": png(seed + index), "path": f"{index}.png"} for index in range(len(labels))]
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    found = pa.table({image: pa.array(images, struct), label: labels})
    if features is None:
        return found
    return found.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def saved(folder, *tables):
    """What `Dataset.save_to_disk` leaves."""
    folder.mkdir(parents=True)
    names = [f"data-{index:05d}-of-{len(tables):05d}.arrow" for index in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    return folder


def saved_parts(folder, **parts):
    for name, table in parts.items():
        saved(folder / name, table)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(parts)}))
    return folder


def test_one_saved_set_in_two_files(tmp_path):
    root = saved(tmp_path / "set", rows([0, 1, 2, 0, 1]), rows([2, 1], seed=5))
    source = find_source(root)
    assert source.labels == ["cat", "dog", "emu", "cat", "dog", "emu", "dog"]
    assert source.paths[4:6] == ["data-00000-of-00002.arrow[4]", "data-00001-of-00002.arrow[0]"]
    assert source.splits is None
    found = read_pictures(source.items, SIXTEEN, workers=1)
    np.testing.assert_array_equal(found.images, np.stack([array(seed) for seed in range(7)]))
    assert LabelledPictures.open(root, CLASSES).paths == source.paths


def test_parts_of_a_saved_dictionary(tmp_path):
    root = saved_parts(
        tmp_path / "set", train=rows([0, 1, 2]), validation=rows([1], seed=3), test=rows([2, 0], seed=4),
        unsupervised=rows([0], seed=9),
    )  # fmt: skip
    source = find_source(root)
    assert source.paths[-1] == "validation/data-00000-of-00001.arrow[0]"
    assert source.splits == ["train"] * 3 + ["val"]
    assert any("left out: unsupervised" in note for note in source.notes)
    data = read_dataset(source, SIXTEEN, workers=1)
    np.testing.assert_array_equal(data.val.images[0], array(3))
    test = LabelledPictures.open(root, CLASSES)
    assert test.folders == ["emu", "cat"]


def test_the_workers_get_pictures(tmp_path):
    root = saved(tmp_path / "set", rows([0, 1] * 40))
    one, two = (read_pictures(find_source(root).items, SIXTEEN, workers=count) for count in (1, 2))
    np.testing.assert_array_equal(one.images, two.images)
    assert len(one.images) == 80


@pytest.mark.parametrize("below", ["", "data"])
def test_parquet_with_parts_in_the_names(tmp_path, below):
    folder = tmp_path / "set" / below
    folder.mkdir(parents=True)
    parquet.write_table(rows([0, 1, 2]), folder / "train-00000-of-00001.parquet", row_group_size=2)
    parquet.write_table(rows([2], seed=3), folder / "test-00000-of-00001.parquet")
    parquet.write_table(rows([1], seed=4), folder / "more.parquet")
    source = find_source(tmp_path / "set")
    assert source.labels == CLASSES
    assert source.notes == ["Files whose names tell no part are left out."]
    found = read_pictures(source.items, SIXTEEN, workers=1)
    np.testing.assert_array_equal(found.images, np.stack([array(seed) for seed in range(3)]))
    assert LabelledPictures.open(tmp_path / "set", CLASSES).folders == ["emu"]


def test_one_parquet_file_without_metadata(tmp_path):
    place = tmp_path / "set.parquet"
    bare = pa.table({"img": [png(0), png(1), b"words"], "labels": ["cat", "dog", "dog"], "id": [1, 2, 3]})
    parquet.write_table(bare, place)
    data = read_dataset(find_source(place), SIXTEEN, workers=1)
    assert data.classes == ["cat", "dog"]
    assert any("set.parquet[2]" in note for note in data.notes)


def test_whole_numbers_without_names_are_their_own_names_and_rows_without_labels_are_left_out(tmp_path):
    place = tmp_path / "set.parquet"
    parquet.write_table(rows([4, -1, 11, None], features=None), place)
    source = find_source(place)
    assert source.labels == ["4", "11"]
    assert source.paths == ["set.parquet[0]", "set.parquet[2]"]
    assert source.notes == ["2 rows have no label and are left out."]


def test_pictures_that_are_paths(tmp_path):
    (tmp_path / "7.png").write_bytes(png(7))
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    values = [
        {"bytes": None, "path": "7.png"},
        {"bytes": None, "path": None},
        {"bytes": png(1), "path": None},
    ]
    place = tmp_path / "set.parquet"
    parquet.write_table(pa.table({"image": pa.array(values, struct), "label": ["a", "b", "b"]}), place)
    found = read_pictures(find_source(place).items, SIXTEEN, workers=1)
    np.testing.assert_array_equal(found.images, np.stack([array(7), array(1)]))
    assert found.unreadable == [(1, "empty")]


def test_the_usual_label_of_several(tmp_path):
    features = {
        "img": {"_type": "Image"},
        "fine_label": {"names": CLASSES, "_type": "ClassLabel"},
        "coarse_label": {"names": ["x", "y"], "_type": "ClassLabel"},
    }
    table = rows([0, 2], features=None, image="img", label="fine_label").append_column(
        "coarse_label", [[1, 0]]
    )
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, tmp_path / "set.parquet")
    assert find_source(tmp_path / "set.parquet").labels == ["cat", "emu"]


def test_tables_without_pictures_are_no_data_set(tmp_path):
    parquet.write_table(pa.table({"label": ["a"], "hash": [b"x"]}), tmp_path / "predictions.parquet")
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png(0))
    assert find_source(tmp_path).kind == "folders"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"label": [1]}), "has no column of pictures; its columns: label (int64)"),
        (pa.table({"image": [b"x"]}), "has no column of labels; its columns: image (binary)"),
        (pa.table({"a": [b"x"], "b": [b"x"], "label": [1]}), "has 2 columns of pictures (a, b)"),
        (rows([0, 3]), "row 1: has the label 3; the metadata name 3 classes"),
        (rows([-1, -1]), "holds no pictures with a label"),
    ],
)
def test_what_is_wrong_with_the_columns_is_said(tmp_path, table, message):
    parquet.write_table(table, tmp_path / "set.parquet")
    with pytest.raises(UserError) as caught:
        find_source(tmp_path / "set.parquet")
    assert message in caught.value.message
    assert caught.value.remedy


def test_files_that_are_damaged_or_missing(tmp_path):
    (tmp_path / "set.parquet").write_bytes(b"PAR1 and no more")
    for place in (tmp_path / "set.parquet", tmp_path):
        with pytest.raises(UserError, match=r"set.parquet: cannot be read"):
            find_source(place)
    root = saved_parts(tmp_path / "set", train=rows([0, 1]))
    with pytest.raises(UserError, match="has a training part, but no test part"):
        LabelledPictures.open(root, CLASSES)
    path = root / "train" / "data-00000-of-00001.arrow"
    path.write_bytes(b"words")
    with pytest.raises(UserError, match=r"00001\.arrow: cannot be read"):
        find_source(root)
    path.unlink()
    with pytest.raises(UserError, match=r"names data-00000-of-00001\.arrow, which is missing"):
        find_source(root)
    (root / "train" / "state.json").write_text("{}")
    with pytest.raises(UserError, match="names no data files"):
        find_source(root)
    (root / "train" / "state.json").write_text(json.dumps({"_indices_data_files": [{"filename": "i"}]}))
    with pytest.raises(UserError, match="selection of rows"):
        find_source(root)
    (root / "train" / "state.json").unlink()
    with pytest.raises(UserError, match=r"names train, but train/state.json is missing"):
        find_source(root)
    (root / "dataset_dict.json").write_text("{")
    with pytest.raises(UserError, match=r"dataset_dict.json: cannot be read as JSON"):
        find_source(root)


def test_rows_that_are_damaged_behind_a_whole_footer(tmp_path):
    place = tmp_path / "set.parquet"
    parquet.write_table(pa.table({"img": [png(0), png(1)], "labels": ["cat", "dog"]}), place)
    column = parquet.ParquetFile(place).metadata.row_group(0).column(1)
    data = bytearray(place.read_bytes())
    data[column.dictionary_page_offset : column.dictionary_page_offset + 8] = b"\xff" * 8
    place.write_bytes(data)
    with pytest.raises(UserError, match=r"set\.parquet: cannot be read"):
        find_source(place)


def test_files_of_different_sets(tmp_path):
    other = {**FEATURES, "label": {"names": ["x", "y"], "_type": "ClassLabel"}}
    root = saved(tmp_path / "set", rows([0, 1]), rows([0, 1], features=other))
    with pytest.raises(UserError, match="names other classes than the files before it"):
        find_source(root)
    root = saved_parts(tmp_path / "odd", left=rows([0, 1]), right=rows([1, 0]))
    with pytest.raises(UserError, match="its parts are left, right: none of them is a training"):
        find_source(root)
