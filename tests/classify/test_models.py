import pytest
import torch

from classify import models
from classify.models.residual import halvings
from curate.errors import UserError


@pytest.mark.parametrize("size", [16, 64, 128])
@pytest.mark.parametrize("name", models.names())
def test_a_model_gives_finite_logits_and_learns(name, size):
    torch.manual_seed(0)
    network = models.create(name, 3, {"size": size, "width": 8})
    pictures, labels = torch.randn(6, 3, size, size), torch.tensor([0, 1, 2, 0, 1, 2])
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9)
    losses = []
    for _ in range(12):
        logits = network(pictures)
        loss = torch.nn.functional.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(value.grad is not None for value in network.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert logits.shape == (6, 3)
    assert torch.isfinite(logits).all()
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("name", models.names())
def test_a_model_takes_one_picture_when_judging_and_is_the_same_for_the_same_seed(name):
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        network = models.create(name, 4, {"size": 32, "width": 8}).eval()
        states.append(network.state_dict())
        assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 4)
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_an_unknown_name_gets_the_closest_match():
    with pytest.raises(UserError, match="Did you mean 'resnet18'") as caught:
        models.create("resnet-18", 2)
    assert "small-resnet" in caught.value.remedy


def test_the_stem_halves_large_pictures_more_often():
    assert [halvings(size) for size in (28, 48, 64, 96, 128, 224)] == [0, 0, 1, 1, 2, 2]
