"""Which optimiser moves which weights, and Muon's orthogonal steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from classify.groups import scaled_groups
from classify.optimizers import Muon, make_optimizers, orthogonal
from classify.settings import read_settings


@pytest.mark.parametrize("shape", [(8, 8), (5, 20), (20, 5)])
def test_the_singular_values_come_near_one_and_the_vectors_stay(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = left.T @ orthogonal(matrix) @ right.T
    values = found.diagonal()
    assert values.min() > 0.4
    assert values.max() < 1.3
    assert (found - values.diag()).abs().max() < 1e-4


@pytest.mark.parametrize("name", ["adamw", "sgd", "muon"])
def test_every_weight_is_moved_by_one_optimiser_and_vectors_do_not_decay(name: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    settings = read_settings(None, [f"optimizer.name={name}"]).resolved()
    optimizers = make_optimizers(settings.optimizer, scaled_groups(network, frozenset(), 1.0))
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    moved = [weight for group in groups for weight in group["params"]]
    assert len(moved) == len({id(weight) for weight in moved}) == len(list(network.parameters()))
    assert all(group["weight_decay"] == 0 for group in groups if any(w.ndim <= 1 for w in group["params"]))
    kernel = network[0].weight
    assert isinstance(optimizers[0], Muon) == (name == "muon")
    assert any(kernel is weight for weight in optimizers[0].param_groups[0]["params"])


def test_muon_learns() -> None:
    torch.manual_seed(0)
    network = nn.Linear(6, 3, bias=False)
    goal, x = torch.randn(3, 6), torch.randn(64, 6)
    optimizer = Muon([network.weight], lr=0.05, weight_decay=0)
    before = after = 0.0
    for step in range(120):
        optimizer.zero_grad()
        error = (network(x) - x @ goal.T).square().mean()
        error.backward()
        optimizer.step()
        before, after = (error.item(), after) if step == 0 else (before, error.item())
    assert after < before / 20
