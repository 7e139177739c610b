import dataclasses
import os

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from classify.augmentations import _drawn
from classify.cells import source_digest
from classify.data.augmentation import Augmentation
from classify.data.cache import read_pictures
from classify.data.dataset import read_dataset
from classify.data.sampling import draw_epoch
from classify.data.sources import _added, find_source
from classify.data.splitting import groups, hold_out
from classify.labelled import LabelledPictures
from classify.settings import AugmentationSettings
from classify.weights import Preprocessing
from curate.errors import UserError
from curate.workspace import Workspace

SIXTEEN = Preprocessing(16)
OFF = {field: 0.0 for field in AugmentationSettings.__dataclass_fields__ if field != "mixup_alpha"}


def noise(seed, side=40):
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(blocks).resize((side, side), Image.Resampling.BICUBIC)


def folder_of(root, counts):
    seed = 0
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            noise(seed).save(root / name / f"{index}.png")
            seed += 1
    return root


# Sources


def test_class_folders_without_hidden_ones_and_loose_files(tmp_path):
    root = folder_of(tmp_path / "set", {"b": 2, "a/inner": 1, ".git": 3, "empty": 0})
    (root / "readme.txt").write_text("x")
    (root / "a" / ".hidden.png").write_bytes(b"x")
    source = find_source(root)
    assert source.paths == ["a/inner/0.png", "b/0.png", "b/1.png"]
    assert source.labels == ["a", "b", "b"]
    assert source.splits is None
    assert any("'empty' holds no files" in note for note in source.notes)
    assert any("1 files beside the class folders" in note for note in source.notes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "no such folder"),
        (lambda root: root.write_text("x"), "is a file, not a folder"),
        (lambda root: root.mkdir(), "is empty"),
        (lambda root: (root.mkdir(), noise(0).save(root / "1.png")), "holds 1 files, but no class folders"),
        (lambda root: folder_of(root, {"a": 0, "b": 0}), "2 class folders hold no files"),
        (lambda root: folder_of(root, {"a": 3}), "only one class, 'a'"),
        (lambda root: folder_of(root, {"a": 3, "b": 0}), "only one class, 'a'"),
        (lambda root: folder_of(root, {"train": 3, "test": 2}), "are parts (test, train), not classes"),
        (lambda root: folder_of(root, {".a": 3, ".b": 2}), "is empty"),
    ],
)
def test_what_cannot_be_learnt_from_is_said(tmp_path, make, message):
    root = tmp_path / "set"
    make(root)
    with pytest.raises(UserError) as caught:
        find_source(root)
    assert message in str(caught.value)
    assert str(root) in caught.value.message
    assert caught.value.remedy


def curated(tmp_path, splits, balance=None):
    root = folder_of(tmp_path / "set", {"a": 4, "b": 4})
    workspace = Workspace.open(root)
    names = [f"{label}/{index}.png" for label in "ab" for index in range(4)]
    rows = [
        {"path": name, "content": name, "label": name[0], "split": split, "group": index, "reason": ""}
        for index, (name, split) in enumerate(zip(names, splits, strict=True))
    ]
    workspace.write("splits", pd.DataFrame(rows))
    if balance:
        train = [row for row in rows if row["split"] == "train"]
        pairs = zip(train, balance, strict=True)
        frame = [
            {"path": row["path"], "label": row["label"], "weight": w, "copies": c, "reason": ""}
            for row, (w, c) in pairs
        ]
        workspace.write("balance", pd.DataFrame(frame))
    return root, workspace


SPLITS = ["train", "train", "val", "out", "train", "train", "test", "val"]


def test_a_workspace_decides_what_is_used(tmp_path):
    root, workspace = curated(tmp_path, SPLITS, [(0.5, 1), (0.5, 0), (2.0, 3), (1.0, 1)])
    for place in (root, workspace.path):
        source = find_source(place)
        assert source.paths == ["a/0.png", "a/2.png", "b/0.png", "b/1.png", "b/3.png"]
        assert source.splits == ["train", "val", "train", "train", "val"]
        np.testing.assert_array_equal(source.weights[[0, 2, 3]], [0.5, 2, 1])
        np.testing.assert_array_equal(source.copies[[0, 2, 3]], [1, 3, 1])
        assert (
            "1 held back for testing, 1 left out (to be removed, or waiting for a person)" in source.notes[0]
        )
    data = read_dataset(find_source(root), SIXTEEN, workers=1)
    assert (len(data.train), len(data.val)) == (3, 2)
    np.testing.assert_array_equal(data.train.copies, [1, 3, 1])
    np.testing.assert_allclose(data.train.weights, np.array([0.5, 2, 1]) * 3 / 3.5, rtol=1e-6)


def test_a_balance_of_another_split_is_left_aside(tmp_path):
    root, workspace = curated(tmp_path, SPLITS, [(0.5, 1), (0.5, 0), (2.0, 3), (1.0, 1)])
    workspace.write("balance", workspace.read("balance"), inputs={"splits": workspace.digest("splits")})
    assert find_source(root).weights is not None
    splits = workspace.read("splits")
    splits["split"] = splits["split"].replace("test", "train")
    workspace.write("splits", splits)
    source = find_source(root)
    assert source.weights is None
    assert source.copies is None
    assert source.splits.count("train") == 5, "what the old balance left out is back"
    (said,) = (note for note in source.notes if note.startswith("The balance"))
    assert f"`curate balance {root}` makes it anew" in said
    weights = read_dataset(source, SIXTEEN, workers=1).train.weights
    np.testing.assert_allclose(weights, np.array([1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3]) * 5 / 2, rtol=1e-6)


def test_a_workspace_is_judged_on_its_test_part(tmp_path):
    root, workspace = curated(tmp_path, SPLITS)
    found = LabelledPictures.open(workspace.path, ["a", "b"])
    assert (found.paths, found.folders) == (["b/2.png"], ["b"])
    assert found.items == [str(root / "b" / "2.png")]
    whole = LabelledPictures.open(root, ["a", "b"])
    assert len(whole.paths) == 8, "the folder itself is taken whole"
    assert any(
        f"held back 1 picture for testing: to judge on that give {workspace.path}" in note
        for note in whole.said
    )
    assert find_source(root).test == workspace.path
    assert find_source(root, raw=True).test is None


def test_a_workspace_without_a_test_part_cannot_be_judged_on(tmp_path):
    _, workspace = curated(tmp_path, ["train", "train", "val", "out", "train", "train", "val", "val"])
    with pytest.raises(UserError, match="its split has no test part") as caught:
        LabelledPictures.open(workspace.path, ["a", "b"])
    assert "curate split" in caught.value.remedy
    assert not LabelledPictures.open(tmp_path / "set", ["a", "b"]).said
    assert find_source(tmp_path / "set").test is None


def test_a_damaged_split_beside_it_keeps_nobody_from_judging_a_folder(tmp_path):
    root, workspace = curated(tmp_path, SPLITS)
    (workspace.path / "splits.parquet").write_bytes(b"words")
    whole = LabelledPictures.open(root, ["a", "b"])
    assert len(whole.paths) == 8
    assert not whole.said


def test_raw_ignores_the_workspace(tmp_path):
    root, workspace = curated(tmp_path, SPLITS)
    for place in (root, workspace.path):
        source = find_source(place, raw=True)
        assert len(source.paths) == 8
        assert source.splits is None


def test_a_workspace_without_a_split(tmp_path):
    root = folder_of(tmp_path / "set", {"a": 2, "b": 2})
    workspace = Workspace.open(root)
    assert "no split yet" in find_source(root).notes[0]
    with pytest.raises(UserError, match="curate run"):
        find_source(workspace.path)


def test_a_workspace_with_an_empty_training_part(tmp_path):
    root, _ = curated(tmp_path, ["val"] * 4 + ["out"] * 4)
    with pytest.raises(UserError, match="no pictures in the training part"):
        find_source(root)


def test_a_workspace_of_parts_instead_of_classes(tmp_path):
    root, workspace = curated(tmp_path, SPLITS)
    frame = workspace.read("splits")
    frame["label"] = frame["label"].map({"a": "Train", "b": "test"})
    workspace.write("splits", frame)
    with pytest.raises(UserError, match=r"its folders are parts \(Train, test\), not classes") as caught:
        find_source(root)
    assert f"curate run {root / 'Train'}" in caught.value.remedy


# Cache and split


def test_pictures_are_decoded_once_the_unreadable_skipped_and_named(tmp_path):
    root = folder_of(tmp_path / "set", {"a": 3, "b": 3})
    (root / "a" / "1.png").write_bytes(b"words")
    (root / "b" / "9.png").write_bytes(b"")
    source = find_source(root)
    data = read_dataset(source, SIXTEEN, val=0.4, workers=1)
    assert data.train.images.shape[1:] == (16, 16, 3)
    assert data.train.images.dtype == np.uint8
    assert len(data.train) + len(data.val) == 5
    (note,) = [note for note in data.notes if note.startswith("Skipped")]
    assert note.startswith("Skipped 2 files")
    assert "a/1.png" in note
    assert "b/9.png" in note
    expected = SIXTEEN.picture(Image.open(root / "a" / "0.png"))
    everything = np.concatenate([data.train.images, data.val.images])
    assert (everything == expected).all((1, 2, 3)).any()


def test_nothing_readable(tmp_path):
    root = tmp_path / "set"
    for name in "ab":
        (root / name).mkdir(parents=True)
        (root / name / "1.png").write_bytes(b"words")
    with pytest.raises(UserError, match="none of its 2 files"):
        read_dataset(find_source(root), SIXTEEN, workers=1)


def test_the_cache_does_not_depend_on_the_workers(tmp_path):
    root = folder_of(tmp_path / "set", {"a": 70, "b": 70})
    source = find_source(root)
    one, two = (read_pictures(source.items, SIXTEEN, workers=workers) for workers in (1, 2))
    np.testing.assert_array_equal(one.images, two.images)
    np.testing.assert_array_equal(one.hashes, two.hashes)
    assert one.contents == two.contents


def test_copies_look_alikes_and_mirror_images_stay_on_one_side(tmp_path):
    root = folder_of(tmp_path / "set", {"a": 30, "b": 30})
    for index in range(10):
        original = root / "a" / f"{index}.png"
        image = Image.open(original)
        (root / "a" / f"copy{index}.png").write_bytes(original.read_bytes())
        image.save(root / "a" / f"again{index}.jpg", quality=60)
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / "a" / f"mirror{index}.png")
    source = find_source(root)
    found = read_pictures(source.items, SIXTEEN, workers=1)
    group, told = groups(found.contents, found.hashes, found.hashed)
    assert told
    number = dict(zip(source.paths, group.tolist(), strict=True))
    for index in range(10):
        together = {
            number[f"a/{name}"]
            for name in (f"{index}.png", f"copy{index}.png", f"again{index}.jpg", f"mirror{index}.png")
        }
        assert len(together) == 1
    assert len(set(number.values())) == 60
    held = hold_out(source.labels, found.contents, group, 0.2, 0)
    side = dict(zip(group.tolist(), held.tolist(), strict=True))
    assert [side[value] for value in group.tolist()] == held.tolist()
    assert held[np.array(source.labels) == "a"].sum() == 12
    assert held[np.array(source.labels) == "b"].sum() == 6


def test_arrays_and_bytes_are_pictures_as_files_are(tmp_path):
    noise(3, 60).save(tmp_path / "1.png")
    pixels = np.asarray(noise(3, 60))
    items = [
        str(tmp_path / "1.png"),
        (tmp_path / "1.png").read_bytes(),
        pixels,
        pixels[..., 0],
        pixels[:9, :9],
        b"x",
    ]
    found = read_pictures(items, SIXTEEN, workers=1)
    np.testing.assert_array_equal(found.images[0], found.images[1])
    np.testing.assert_array_equal(found.images[0], found.images[2])
    assert (found.images[3] == found.images[3][..., :1]).all()
    assert found.contents[0] == found.contents[1]
    assert len(set(found.contents)) == 4
    np.testing.assert_array_equal(found.hashes[0], found.hashes[2])
    assert found.hashed.tolist() == [True, True, True, True, False]
    assert found.unreadable == [(5, "not_an_image")]


def test_look_alikes_that_are_everywhere_are_not_believed():
    hashes = np.zeros((300, 2), np.uint64)
    hashes[200:] = np.random.default_rng(0).integers(0, 2**64, (100, 2), np.uint64)
    contents = [str(max(index, 9)) for index in range(300)]
    group, told = groups(contents, hashes)
    assert not told
    assert len(set(group.tolist())) == 291
    group, told = groups(contents[:80], hashes[:80])
    assert told
    assert len(set(group.tolist())) == 1


def test_only_hashes_that_are_there_count():
    hashes = np.zeros((6, 2), np.uint64)
    group, told = groups(list("abcdea"), hashes, np.array([1, 1, 0, 0, 0, 0], bool))
    assert told
    assert group.tolist() == [0, 0, 1, 2, 3, 0]
    assert groups(list("abcdea"), hashes, np.zeros(6, bool))[1] is False


def test_the_split_depends_on_content_and_seed_alone():
    contents = [f"{index:03d}" for index in range(100)]
    labels = ["a"] * 60 + ["b"] * 40
    held = hold_out(labels, contents, np.arange(100), 0.1, 4)
    order = np.random.default_rng(1).permutation(100)
    turned = hold_out([labels[i] for i in order], [contents[i] for i in order], np.arange(100), 0.1, 4)
    np.testing.assert_array_equal(held[order], turned)
    assert (held != hold_out(labels, contents, np.arange(100), 0.1, 5)).any()


def test_a_class_of_one_picture_is_trained_on_and_said(tmp_path):
    root = folder_of(tmp_path / "set", {"a": 5, "b": 1})
    data = read_dataset(find_source(root), SIXTEEN, workers=1)
    assert data.classes == ["a", "b"]
    assert (data.train.labels == 1).sum() == 1
    assert any(note.startswith("Classes with one picture to learn from: b. Add") for note in data.notes)
    assert "Without a picture for validation, so macro-F1 leaves them out: b." in data.notes


def test_the_fingerprint_follows_content_not_names(tmp_path):
    root = folder_of(tmp_path / "set", {"a": 5, "b": 5})
    before = read_dataset(find_source(root), SIXTEEN, workers=1).fingerprint
    (root / "a" / "0.png").rename(root / "a" / "zzz.png")
    assert read_dataset(find_source(root), SIXTEEN, workers=1).fingerprint == before
    noise(99).save(root / "a" / "zzz.png")
    assert read_dataset(find_source(root), SIXTEEN, workers=1).fingerprint != before


# Extra training folders


def test_extra_pictures_are_for_training_only_and_leak_nothing(tmp_path):
    root = folder_of(tmp_path / "set", {"a": 20, "b": 20})
    plain = read_dataset(find_source(root), SIXTEEN, val=0.2, workers=1)
    more = folder_of(tmp_path / "more", {"B": 1, "a": 0})
    noise(77).save(more / "B" / "new.png")
    for path in (root / "b").iterdir():
        Image.open(path).save(more / "B" / f"{path.stem}-again.jpg", quality=80)
    (more / "B" / "0.png").unlink()
    source = find_source(root, extra=(str(more),))
    assert source.extra == 21
    assert source.labels[-1] == "b"
    data = read_dataset(source, SIXTEEN, val=0.2, workers=1)
    np.testing.assert_array_equal(data.val.images, plain.val.images)
    assert len(data.train) == len(plain.train) + 17
    assert "4 extra pictures are copies or look-alikes of validation pictures: left out." in data.notes
    np.testing.assert_allclose(np.bincount(data.train.labels, data.train.weights), [24.5, 24.5], rtol=1e-5)
    assert data.fingerprint != plain.fingerprint


def test_extra_pictures_share_the_weight_that_a_workspace_gave_their_class(tmp_path):
    root, _ = curated(tmp_path, SPLITS, [(0.5, 1), (0.5, 0), (2.0, 3), (1.0, 1)])
    more = tmp_path / "more"
    (more / "b").mkdir(parents=True)
    noise(50).save(more / "b" / "x.png")
    data = read_dataset(find_source(root, extra=(str(more),)), SIXTEEN, workers=1)
    np.testing.assert_array_equal(data.train.copies, [1, 3, 1, 2])
    np.testing.assert_allclose(
        data.train.weights, np.array([0.5, 1.4, 0.7, 1.05]) * 4 / 3.65, rtol=1e-6
    )  # of class b: 2 x 3 + 1 before, and two of their mean, 1.5, more after; times 7 / 10


def test_extra_pictures_leave_an_oversampled_class_as_often(tmp_path):
    root = folder_of(tmp_path / "set", {"a": 20, "b": 4})
    source = dataclasses.replace(
        find_source(root),
        splits=["train"] * 24,
        weights=np.ones(24, np.float32),
        copies=np.repeat([1, 5], [20, 4]),
    )
    folder_of(tmp_path / "more", {"b": 4})
    for count in (0, 4):
        both = _added(source, tmp_path / "more") if count else source
        part = read_dataset(both, SIXTEEN, workers=1).train
        rates = part.weights * part.copies
        assert len(part) == 24 + count
        assert rates[part.labels == 1].sum() == pytest.approx(rates.sum() / 2)


def test_what_is_known_of_each_picture_goes_on_through_the_extra_ones(tmp_path):
    root, _ = curated(tmp_path, SPLITS, [(0.5, 1), (0.5, 0), (2.0, 3), (1.0, 1)])
    folder_of(tmp_path / "more", {"b": 1})
    source = find_source(root, extra=(str(tmp_path / "more"),))
    assert [source.drawn(index) for index in (0, 1, 2, 5)] == [
        ("train", 0.5, 1), ("val", 1.0, 1), ("train", 2.0, 3), ("train", 1.0, 1),
    ]  # fmt: skip
    assert find_source(root, raw=True).drawn(0) == ("", 1.0, 1)
    assert source_digest(source) != source_digest(find_source(root))
    assert sum(1 for _ in _drawn(source, np.random.default_rng(0))) == 4


def test_a_class_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    root = folder_of(tmp_path / "set", {"a": 2, "b": 2, "b/deep": 1})
    scandir = os.scandir

    def locked(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(UserError, match=r"deep: may not be read \(Permission denied\)"):
        find_source(root)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"a": 1, "cat": 1}, "its folders cat are no classes of"),
        ({"train/a": 1, "train/b": 1, "val/a": 1}, "has a validation part"),
        ({"a": 0}, "hold no files"),
        (None, "no such folder"),
    ],
)
def test_extra_folders_that_will_not_do(tmp_path, counts, message):
    root = folder_of(tmp_path / "set", {"a": 2, "b": 2})
    if counts is not None:
        folder_of(tmp_path / "more", counts)
    with pytest.raises(UserError, match=message) as caught:
        find_source(root, extra=(str(tmp_path / "more"),))
    assert str(tmp_path / "more") in caught.value.message


def test_extra_pictures_stand_in_folders(tmp_path):
    root = folder_of(tmp_path / "set", {"a": 2, "b": 2})
    (tmp_path / "more.csv").write_text("path,label\n")
    with pytest.raises(UserError, match=r"more\.csv: is a file; what data\.extra names are folders"):
        find_source(root, extra=(str(tmp_path / "more.csv"),))


# Sampling


def test_equal_rates_draw_each_once():
    drawn = draw_epoch(np.ones(50), 50, 0, 0)
    assert sorted(drawn.tolist()) == list(range(50))
    assert drawn.tolist() != draw_epoch(np.ones(50), 50, 0, 1).tolist()
    assert drawn.tolist() == draw_epoch(np.ones(50), 50, 0, 0).tolist()


def test_draws_follow_the_rates_within_one():
    rates = np.array([0, 1, 2, 5], float)
    counts = np.bincount(draw_epoch(rates, 80, 3, 0), minlength=4)
    assert np.abs(counts - rates * 10).max() <= 1
    assert counts[0] == 0


# Augmentation


def batch(count=64, size=24):
    pictures = [np.asarray(noise(seed, size)) for seed in range(count)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def apply(images, seed=0, **settings):
    augmentation = Augmentation(AugmentationSettings(**(OFF | settings)))
    return augmentation.pictures(images.clone(), torch.Generator().manual_seed(seed))


def changed(images, result):
    return ((images - result).abs().amax((1, 2, 3)) > 1e-3).numpy()


def test_all_off_changes_nothing():
    images, generator = batch(8), torch.Generator().manual_seed(0)
    before = generator.get_state()
    found = Augmentation(AugmentationSettings(**OFF)).pictures(images, generator)
    assert torch.equal(found, images)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(generator.get_state(), before), "random numbers for nothing"


@pytest.mark.parametrize(
    "name", ["affine", "flip", "mix", "hue", "tint", "tone", "grey", "invert", "lines", "blur", "erase"]
)
def test_each_operation_has_its_own_probability(name):
    images = batch()
    more = (
        {"rotate": 15.0, "scale": 0.3, "stretch": 0.2, "translate": 0.1, "shear": 8.0}
        if name == "affine"
        else {}
    )
    assert changed(images, apply(images, **{name: 1.0}, **more)).all()
    share = changed(images, apply(images, **{name: 0.25}, **more)).mean()
    assert 0.1 < share < 0.45


def test_what_the_operations_do():
    images = batch(4)
    torch.testing.assert_close(apply(images, flip=1.0), images.flip(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(apply(images, invert=1.0), 1 - images, atol=1e-5, rtol=0)
    grey = apply(images, grey=1.0)
    torch.testing.assert_close(grey[:, 0], grey[:, 2])
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    torch.testing.assert_close(grey[:, 0], (images * weights).sum(1), atol=1e-5, rtol=0)


def test_white_and_black_survive_mixing_and_hue():
    images = torch.stack([torch.ones(3, 8, 8), torch.zeros(3, 8, 8)])
    torch.testing.assert_close(apply(images, mix=1.0, hue=1.0), images, atol=1e-5, rtol=0)


def test_turns_keep_the_shape():
    bar = torch.ones(1, 3, 33, 33)
    bar[:, :, :, 14:19] = 0
    turned = apply(bar.expand(32, -1, -1, -1), affine=1.0, rotate=90.0)
    ink = (1 - turned[:, 0]).sum((1, 2))
    assert ((ink > 140) & (ink < 260)).all()  # 5 x 33 = 165 pixels; up to 5 x 47 along the diagonal
    assert ink.max() - ink.min() > 20


def test_lines_grow_or_shrink_by_a_pixel_on_each_side():
    bar = torch.ones(1, 3, 20, 20)
    bar[:, :, :, 8:12] = 0
    changed = apply(bar.expand(64, -1, -1, -1), lines=1.0)
    widths = (1 - changed[:, 0, 10]).sum(1)
    assert set(widths.tolist()) == {2.0, 6.0}
    some = apply(bar.expand(64, -1, -1, -1), lines=0.5)
    assert set((1 - some[:, 0, 10]).sum(1).tolist()) == {2.0, 4.0, 6.0}


def test_blur_is_the_mean_of_nine_and_keeps_what_is_even():
    dot = torch.zeros(1, 3, 9, 9)
    dot[:, :, 4, 4] = 0.9
    blurred = apply(dot, blur=1.0)
    torch.testing.assert_close(blurred[0, 0, 3:6, 3:6], torch.full((3, 3), 0.1))
    even = torch.full((1, 3, 9, 9), 0.4)
    torch.testing.assert_close(apply(even, blur=1.0), even)


def test_tint_colours_paper_and_leaves_ink():
    images = torch.ones(32, 3, 8, 8)
    images[:, :, 2:4] = 0
    tinted = apply(images, tint=1.0)
    paper = tinted[:, :, 0, 0]
    assert tinted[:, :, 2:4].abs().max() < 1e-6
    assert ((paper >= 0.4) & (paper <= 1)).all()
    assert (paper.amax(1) - paper.amin(1)).max() > 0.2


def test_pictures_that_are_only_shifted_move_by_whole_pixels():
    images = batch(16)
    still = {"rotate": 0.0, "scale": 0.0, "stretch": 0.0, "shear": 0.0}
    moved = apply(images, affine=1.0, translate=2 / 24, **still)
    wide = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="replicate")
    places = set()
    for before, after in zip(wide, moved, strict=True):
        gaps = {
            (y, x): float((before[:, y : y + 24, x : x + 24] - after).abs().max())
            for y in range(5)
            for x in range(5)
        }
        place = min(gaps, key=gaps.__getitem__)
        assert gaps[place] < 1e-4
        places.add(place)
    assert len(places) > 5


def test_results_stay_in_range_and_follow_the_seed():
    images = batch(16)
    settings = AugmentationSettings()
    first, again, other = (
        Augmentation(settings).pictures(images.clone(), torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_blending_moves_targets_as_much_as_pixels(name):
    images = torch.zeros(4, 3, 16, 16)
    images[0] = 1
    targets = torch.eye(4)
    augmentation = Augmentation(AugmentationSettings(**(OFF | {name: 1.0})))
    shares = set()
    for seed in range(6):
        mixed, rows = augmentation.blend(images, targets, torch.Generator().manual_seed(seed))
        torch.testing.assert_close(rows.sum(1), torch.ones(4))
        torch.testing.assert_close(mixed.mean((1, 2, 3)), rows[:, 0])
        shares.add(round(float(rows[0, 0]), 4))
    assert len(shares) > 3
    off = Augmentation(AugmentationSettings(**OFF)).blend(images, targets, torch.Generator().manual_seed(0))
    assert torch.equal(off[0], images)
