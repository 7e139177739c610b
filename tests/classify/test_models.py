import copy
from pathlib import Path

import pytest
import torch
import torchvision

from classify import models, weights
from classify.models.residual import halvings
from classify.weights import Preprocessing
from curate.errors import UserError

NAMES = models.names()


def make(name, classes=3, seed=0, **options):
    torch.manual_seed(seed)
    return models.create(name, classes, options)


def count(network):
    return sum(value.numel() for value in network.parameters())


def on_meta(build, *arguments, **options):
    with torch.device("meta"):
        return count(build(*arguments, **options))


def pictures(size, number=6):
    return torch.randn(number, 3, size, size, generator=torch.Generator().manual_seed(1))


def learn(network, images, steps):
    """Adam on six pictures of three classes; the losses."""
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    trainable = [value for value in network.parameters() if value.requires_grad]
    optimizer = torch.optim.Adam(trainable, 0.05)
    losses = []
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# Every model


@pytest.mark.parametrize("name", NAMES)
def test_it_is_known_which_networks_take_other_sizes_than_their_own(name):
    network = make(name, 5, size=64, width=4).eval()
    if models.takes_any_size(name):
        assert network(pictures(32, 2)).shape == (2, 5)
    else:
        with pytest.raises(RuntimeError):
            network(pictures(32, 2))
    assert not models.takes_any_size("no-such-network")


@pytest.mark.parametrize("size", [16, 28, 33, 64, 96, 128])
@pytest.mark.parametrize("name", NAMES)
def test_logits_have_their_shape_at_any_size(name, size):
    network = make(name, 5, size=size, width=4).eval()
    with torch.inference_mode():
        for number in (1, 2):
            logits = network(pictures(size, number))
            assert logits.shape == (number, 5)
            assert logits.dtype == torch.float32
            assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_model_learns_and_gradients_reach_all_that_can_be_trained(name):
    network = make(name, size=16, width=8)
    before = copy.deepcopy(network.state_dict())
    losses = learn(network, pictures(16), 12)
    assert losses[-1] < 0.5 * losses[0]
    for key, value in network.named_parameters():
        assert torch.equal(value, before[key]) != value.requires_grad, key
        assert (value.grad is not None and value.grad.abs().max() > 0) == value.requires_grad, key


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_weights(name):
    one, two, other = (make(name, size=16, width=4, seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(value, two[key]) for key, value in one.items())
    assert not all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_trained_model_comes_back_from_its_file(name, tmp_path):
    options = {"size": 16, "width": 4, "dropout": 0.1}
    network = make(name, **options)
    learn(network, pictures(16), 1)
    weights.save(
        tmp_path / "w.safetensors",
        network.state_dict(),
        model=name,
        model_options=options,
        classes=["a", "b", "c"],
        preprocessing=Preprocessing(16),
        settings={},
    )
    with torch.inference_mode():
        found = weights.load(tmp_path / "w.safetensors").model(pictures(16))
        assert torch.equal(found, network.eval()(pictures(16)))


@pytest.mark.parametrize("name", NAMES)
def test_width_changes_the_number_of_weights_and_0_is_the_usual(name):
    narrow, wide, usual, default = (
        on_meta(models.create, name, 3, {"size": 32, **width})
        for width in ({"width": 4}, {"width": 8}, {"width": 0}, {})
    )
    assert narrow < wide
    assert usual == default


@pytest.mark.parametrize("name", NAMES)
def test_dropout_works_in_training_only(name):
    images = pictures(16)
    network = make(name, size=16, width=8, dropout=0.5)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))
    network = make(name, size=16, width=8)
    assert torch.equal(network(images), network(images))


@pytest.mark.parametrize("name", NAMES)
def test_the_memory_order_does_not_change_a_step(name):
    """In float64, since a batch of six magnifies rounding."""
    first = make(name, size=16, width=4).double()
    last = copy.deepcopy(first).to(memory_format=torch.channels_last)
    images = pictures(16).double()
    other = images.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(learn(first, images, 2), learn(last, other, 2))
    with torch.inference_mode():
        torch.testing.assert_close(first(images), last(other))


# The registry


def test_an_unknown_name_gets_the_closest_match():
    with pytest.raises(UserError, match="Did you mean 'resnet18'") as caught:
        models.create("resnet-18", 2)
    assert "small-resnet" in caught.value.remedy


@pytest.mark.parametrize(("name", "least"), [("lenet5", 12), ("airbench", 9)])
def test_a_size_that_is_too_small_is_said_with_the_least(name, least):
    with pytest.raises(
        UserError, match=f"'{name}' takes pictures of {least} pixels or more, not {least - 1}"
    ):
        models.create(name, 2, {"size": least - 1})
    assert models.create(name, 2, {"size": least}).eval()(torch.zeros(1, 3, least, least)).shape == (1, 2)


def test_the_overview_counts_without_allocating_and_says_what_each_is():
    rows = models.overview(classes=10, size=64)
    assert [row.name for row in rows] == NAMES
    assert all(row.about for row in rows)
    small = {row.name: row.weights for row in rows}["small-resnet"]
    assert small == count(make("small-resnet", 10, size=64, width=32))


def test_the_page_on_models_has_the_overview_as_it_is():
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("| `")]
    assert table == [f"| `{row.name}` | {row.about} | {row.weights:,} |" for row in models.overview()]


# Residual networks


def test_the_stem_halves_large_pictures_more_often():
    assert [halvings(size) for size in (28, 48, 64, 128, 160, 224)] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_at_224_pixels_a_resnet_has_as_many_weights_as_torchvisions(name):
    expected = on_meta(getattr(torchvision.models, name), num_classes=10)
    assert on_meta(models.create, name, 10, {"size": 224}) == expected


# LeNet-5


@pytest.mark.parametrize("size", [28, 32])
def test_lenet5_is_the_published_one(size):
    kernels = 6 * (3 * 25 + 1) + 16 * (6 * 25 + 1)
    assert count(make("lenet5", 10, size=size)) == kernels + 120 * (400 + 1) + 84 * (120 + 1) + 10 * (84 + 1)


# The plain network


@pytest.mark.parametrize(("size", "last"), [(28, 16), (64, 32), (128, 32)])
def test_the_plain_network_has_more_stages_for_larger_pictures(size, last):
    network = make("plain-cnn", size=size, width=4)
    assert network.stages(torch.zeros(1, 3, size, size)).shape == (
        1,
        last,
        *[size // 2 ** (2 + halvings(size))] * 2,
    )


# airbench


def smooth(number=40):
    """Pictures whose neighbouring pixels and channels go together, as in real ones."""
    rough = pictures(9, number)
    return torch.nn.functional.avg_pool2d(rough + rough.mean(1, keepdim=True), 3, 1) + 0.5


def test_the_whitening_makes_patches_uncorrelated_with_variance_one():
    network, images = make("airbench", size=16, width=4), smooth()
    assert isinstance(network, models.Preparing)
    network.prepare(images)
    with torch.inference_mode():
        flat = network.whitening(images).transpose(0, 1).flatten(1)
    moments = flat @ flat.T / flat.shape[1]
    sign = torch.eye(12)
    torch.testing.assert_close(
        moments, torch.cat([torch.cat([sign, -sign], 1), torch.cat([-sign, sign], 1)]), atol=0.05, rtol=0
    )


def test_the_whitening_depends_on_the_pictures_alone_and_is_frozen():
    one, two = make("airbench", size=16, width=4, seed=1), make("airbench", size=16, width=4, seed=2)
    one.prepare(smooth())
    two.prepare(smooth())
    assert torch.equal(one.whitening.weight, two.whitening.weight)
    assert not one.whitening.weight.requires_grad
    assert one.whitening.bias.requires_grad


def test_preparing_with_blank_pictures_leaves_finite_logits_and_with_none_is_refused():
    network = make("airbench", size=16, width=4)
    network.prepare(torch.full((4, 3, 16, 16), 2.0))
    assert torch.isfinite(network(torch.full((4, 3, 16, 16), 2.0))).all()
    with pytest.raises(ValueError, match="none to prepare with"):
        network.prepare(torch.zeros(0, 3, 16, 16))
