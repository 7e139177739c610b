import io

import numpy as np
import pytest
from PIL import Image

from reports.confusion import confusion_matrix_png


def drawn(matrix, names):
    data = confusion_matrix_png(np.array(matrix), names)
    assert data.startswith(b"\x89PNG")
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def share_of(pixels, kind):
    red, blue = pixels[..., 0], pixels[..., 2]
    return {"blue": (blue > red + 40).mean(), "orange": (red > blue + 40).mean()}[kind]


@pytest.mark.parametrize("count", [2, 21, 45, 160])
def test_any_number_of_classes_is_drawn_on_white(count):
    matrix = np.random.default_rng(0).poisson(0.3, (count, count)) + 9 * np.eye(count, dtype=int)
    pixels = drawn(matrix, [f"class {i}" for i in range(count)])
    assert (pixels[:3] == 255).all()
    assert max(pixels.shape) < 4500
    assert share_of(pixels, "blue") > 0


def test_right_is_blue_and_wrong_is_orange():
    names = ["a", "b", "c"]
    right = drawn(np.eye(3, dtype=int) * 5, names)
    wrong = drawn((1 - np.eye(3, dtype=int)) * 5, names)
    assert share_of(right, "blue") > 3 * share_of(wrong, "blue")
    assert share_of(wrong, "orange") > 3 * share_of(right, "orange")


def test_names_are_text_not_markup():
    plain = drawn([[1, 0], [0, 1]], ["cost $x_1$", "two\nlines\x07"])
    assert plain.shape[2] == 3
    long = drawn([[1, 0], [0, 1]], ["x" * 500, "y"])
    assert long.shape[1] < 2000


def test_rows_without_pictures_are_grey():
    pixels = drawn([[0, 0], [0, 4]], ["a", "b"])
    assert ((pixels >= 236) & (pixels <= 242)).all(axis=2).mean() > 0.03


def test_the_same_matrix_gives_the_same_bytes():
    matrix = np.array([[3, 1], [0, 2]])
    assert confusion_matrix_png(matrix, ["a", "b"]) == confusion_matrix_png(matrix, ["a", "b"])


@pytest.mark.parametrize(
    ("matrix", "names"), [(np.zeros((2, 3), int), ["a", "b"]), (np.zeros((0, 0), int), [])]
)
def test_shapes_must_agree(matrix, names):
    with pytest.raises(ValueError, match="shape"):
        confusion_matrix_png(matrix, names)
