import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from classify import prediction
from classify.prediction import predict_paths, read_picture
from classify.weights import Classifier, Preprocessing

COLOURS = {"red": (220, 20, 20), "green": (20, 220, 20), "blue": (20, 20, 220)}


class Brightest(nn.Module):
    """Logits are the mean of each channel: the class is the colour."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return x.mean((2, 3)) * self.scale


@pytest.fixture
def classifier():
    return Classifier(Brightest(), list(COLOURS), Preprocessing(size=8), {}, {})


def test_colours_are_recognised_whatever_the_format(tmp_path, classifier):
    paths, expected = [], []
    for name, colour in COLOURS.items():
        plain = Image.new("RGB", (20, 30), colour)
        for suffix, image in (
            ("png", plain),
            ("jpg", plain),
            ("gif", plain.quantize(8)),
            ("webp", plain.convert("RGBA")),
        ):
            path = tmp_path / f"{name}.{suffix}"
            image.save(path)
            paths.append(path)
            expected.append(name)
    table = predict_paths(paths, classifier)
    assert table["prediction"].tolist() == expected
    assert table["path"].tolist() == [str(path) for path in paths]
    belief = table[["p:red", "p:green", "p:blue"]].to_numpy()
    assert belief.dtype == np.float32
    np.testing.assert_allclose(belief.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(table["confidence"], belief.max(axis=1))
    assert (table["reason"] == "").all()


def test_unreadable_files_are_named_and_do_not_shift_the_others(tmp_path, classifier):
    Image.new("RGB", (9, 9), COLOURS["red"]).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"")
    Image.new("RGB", (9, 9), COLOURS["blue"]).save(tmp_path / "c.png")
    (tmp_path / "d.txt").write_text("words")
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(stream, "JPEG")
    (tmp_path / "e.jpg").write_bytes(stream.getvalue()[:-200])
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png", "d.txt", "e.jpg", "gone.png")]
    table = predict_paths(paths, classifier)
    assert table["prediction"].tolist() == ["red", "", "blue", "", "", ""]
    assert table["reason"].tolist() == ["", "empty", "", "not_an_image", "truncated", "vanished"]
    assert table["detail"][1] == "the file has no bytes"
    assert table["confidence"].isna().tolist() == [False, True, False, True, True, True]
    assert table["p:red"].isna().tolist() == [False, True, False, True, True, True]


def test_transparency_and_exif_turn_are_resolved(tmp_path):
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(clear)
    pixels = read_picture(clear, Preprocessing(size=8, background=(10, 20, 30)))
    assert (pixels == (10, 20, 30)).all()
    turned = tmp_path / "turned.png"
    image = Image.new("RGB", (8, 8), "white")
    image.paste((0, 0, 0), (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(turned, exif=exif)
    pixels = read_picture(turned, Preprocessing(size=8))
    assert pixels[1].mean() > 250
    assert pixels[6].mean() < 5


def test_order_and_numbers_do_not_depend_on_threads_or_batches(tmp_path, classifier, monkeypatch):
    rng = np.random.default_rng(0)
    paths = []
    for i in range(23):
        path = tmp_path / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
        paths.append(path)
    whole = predict_paths(paths, classifier, workers=1)
    monkeypatch.setattr(prediction, "BATCH", 4)
    calls = []
    pieces = predict_paths(paths, classifier, lambda done, total: calls.append((done, total)), workers=3)
    assert pieces["path"].tolist() == whole["path"].tolist()
    assert pieces["prediction"].tolist() == whole["prediction"].tolist()
    np.testing.assert_allclose(pieces["confidence"], whole["confidence"], atol=1e-6)
    assert calls[0] == (0, 23)
    assert calls[-1] == (23, 23)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_no_more_than_a_few_batches_are_decoded_ahead(tmp_path, classifier, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8), "red").save(path)
    monkeypatch.setattr(prediction, "BATCH", 2)
    decoded = []
    honest = prediction._decode
    monkeypatch.setattr(prediction, "_decode", lambda *given: decoded.append(1) or honest(*given))
    batches = prediction._batches([path] * 200, classifier.preprocessing, workers=2)
    next(batches)
    assert len(decoded) <= 4
    batches.close()
    assert len(decoded) <= 4


def test_no_paths_give_an_empty_table(classifier):
    table = predict_paths([], classifier)
    assert len(table) == 0
    assert "p:green" in table.columns
