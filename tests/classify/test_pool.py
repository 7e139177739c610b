import numpy as np
import pytest
import torch

from classify.data.dataset import Part
from classify.losses import log_shares
from classify.pool import Pool
from classify.settings import read_settings

CPU = torch.device("cpu")


def part(copies=None):
    """Thirty pictures of class 0 and ten of class 1, in a store of sixty; each picture is of one grey, its place in the store."""
    store = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], (60, 4, 4, 3)).copy()
    labels = np.repeat([0, 1], [30, 10])
    weights = np.where(labels == 0, 2 / 3, 2).astype(np.float32)
    drawn = np.ones(40, np.int32) if copies is None else np.asarray(copies, np.int32)
    return Part(store, np.arange(40) + 20, labels, weights, drawn)


def pool(balance, copies=None):
    settings = read_settings(None, [f"data.balance={balance}", "training.batch_size=20"])
    return Pool(part(copies), settings, 2, CPU)


def draws(found, epochs=30):
    """How often each picture is drawn in an epoch, on average."""
    return sum(np.bincount(found.epoch(number).ravel(), minlength=40) for number in range(epochs)) / epochs


@pytest.mark.parametrize(
    ("balance", "often", "weight"),
    [("none", (1, 1), (1, 1)), ("sample", (2 / 3, 2), (1, 1)), ("loss", (1, 1), (2 / 3, 2)), ("logits", (1, 1), (1, 1))],
)  # fmt: skip
def test_each_balance_weighs_in_its_own_way(balance, often, weight):
    found = pool(balance)
    assert found.steps == 2
    seen = draws(found)
    assert (seen[:30].mean(), seen[30:].mean()) == pytest.approx(often, abs=0.05)
    _, labels, weights = found.batch(np.arange(40))
    assert weights[labels == 0].tolist() == pytest.approx([weight[0]] * 30)
    assert weights[labels == 1].tolist() == pytest.approx([weight[1]] * 10)


def test_only_logits_are_shifted_by_the_shares_of_classes():
    assert all(pool(balance).shift is None for balance in ("none", "sample", "loss"))
    one = torch.ones(40, dtype=torch.float64)
    labels = torch.from_numpy(part().labels)
    torch.testing.assert_close(pool("logits").shift, log_shares(one, labels, 2, 1.0))


@pytest.mark.parametrize("balance", ["none", "sample"])
def test_copies_make_an_epoch_longer(balance):
    found = pool(balance, copies=[1] * 20 + [3] * 20)
    assert found.steps == 4
    seen = draws(found, epochs=300)
    assert seen[20:30].mean() / seen[10:20].mean() == pytest.approx(3, abs=0.15)


def test_a_batch_is_of_the_pictures_asked_for():
    pictures, labels, weights = pool("none").batch(np.array([0, 39, 5]))
    assert pictures.dtype == torch.uint8
    assert pictures.shape == (3, 4, 4, 3)
    assert pictures[:, 0, 0, 0].tolist() == [20, 59, 25]
    assert labels.tolist() == [0, 1, 0]
    assert weights.dtype == torch.float32


def test_epochs_differ_and_are_drawn_alike_each_time():
    one, other = pool("none"), pool("none")
    assert (one.epoch(3) == other.epoch(3)).all()
    assert (one.epoch(3) != one.epoch(4)).any()
    assert one.epoch(0).shape == (2, 20)
