import numpy as np
import pytest
import torch

from classify import models
from classify.views import ALONE, Views
from classify.weights import Classifier, Preprocessing


def spot(*, high, wide):
    """A white square of three pixels on black, its middle `high` above and `wide` right of the picture's."""
    picture = torch.zeros(1, 3, 33, 33)
    picture[..., 15 - high : 18 - high, 15 + wide : 18 + wide] = 1
    return picture


def middle(view):
    """Where the brightness lies: (up, right) of the middle, pixels."""
    mass, places = view[0, 0], torch.arange(33.0) - 16
    total = mass.sum()
    return (-(mass * places[:, None]).sum() / total).item(), ((mass * places).sum() / total).item()


def angle(view):
    up, right = middle(view)
    return float(np.degrees(np.arctan2(up, right)))


def test_turned_to_either_side_and_all_of_them_mirrored():
    picture = spot(high=0, wide=12)
    found = list(Views(flip=True, turn=30)(picture))
    assert found[0] is picture
    expected = [0, 180, 30, 150, -30, -150]
    assert sorted(angle(view) % 360 for view in found) == pytest.approx(
        sorted(a % 360 for a in expected), abs=1
    )


def test_moved_up_and_left_and_down_and_right_by_whole_pixels():
    picture = spot(high=2, wide=5)
    found = list(Views(shift=3)(picture))
    assert found[0] is picture
    assert [middle(view) for view in found] == [pytest.approx(place) for place in [(2, 5), (5, 2), (-1, 8)]]
    assert all(set(view.unique().tolist()) == {0, 1} for view in found)


def test_what_moves_in_repeats_the_border():
    picture = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    _, away, back = Views(shift=2)(picture)
    assert torch.equal(away[:, :, -3:, -3:], picture[:, :, -1:, -1:].expand(-1, -1, 3, 3))
    assert torch.equal(back[:, :, :3, :3], picture[:, :, :1, :1].expand(-1, -1, 3, 3))


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("turn", [0.0, 8.0])
@pytest.mark.parametrize("flip", [False, True])
def test_as_many_as_they_say_and_each_another(flip, turn, shift):
    picture = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    views = Views(flip, turn, shift)
    found = list(views(picture))
    assert len(views) == len(found) == (2 if flip else 1) * (1 + 2 * (turn > 0) + 2 * shift)
    assert len({view.numpy().tobytes() for view in found}) == len(found)
    assert {view.shape for view in found} == {picture.shape}


def test_alone_is_the_picture_itself():
    picture = torch.rand(1, 3, 16, 16)
    assert list(ALONE(picture)) == [picture]
    assert Views.of({}) == Views.of({"evaluation": {}}) == ALONE


def test_a_classifier_takes_the_mean_over_those_of_its_settings():
    torch.manual_seed(1)
    network = models.create("small-resnet", 3, {"size": 16, "width": 4}).eval()
    settings = {"evaluation": {"flip": True, "turn": 8.0, "shift": 1}}
    classifier = Classifier(network, ["a", "b", "c"], Preprocessing(16), settings, {})
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    batch = classifier.preprocessing.tensor(torch.from_numpy(pictures))
    with torch.inference_mode():
        each = [network(view).softmax(1) for view in Views(True, 8.0, 1)(batch)]
    assert len(each) == 10
    np.testing.assert_allclose(classifier.probabilities(pictures), sum(each) / 10, atol=1e-6)
    np.testing.assert_allclose(classifier.probabilities(pictures, ALONE), each[0], atol=1e-6)
