"""Which optimiser moves which weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from classify.settings import OptimizerSettings

_ROUNDS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315


class Muon(torch.optim.Optimizer):
    """Nesterov momentum whose matrices are made nearly orthogonal before they are added (Jordan et al., 2024).

    For kernels: parameters of two dimensions or more, taken as matrices of one row an output channel. The step is scaled to
    the size that Adam's has (Liu et al., arXiv:2502.16982), so AdamW's learning rate and weight decay fit. torch's own
    `torch.optim.Muon` takes matrices only, no kernels of convolutions.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, momentum: float = 0.95, weight_decay: float = 0.05
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the weights along their gradients; there is no closure."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                update = weight.grad.lerp(state["momentum"], group["momentum"])
                matrix = orthogonal(update.reshape(len(update), -1))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                size = -group["lr"] * 0.2 * math.sqrt(max(matrix.shape))
                weight.add_(matrix.reshape(weight.shape), alpha=size)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """A matrix (M, N) with the singular vectors of `matrix` and singular values near 1 (0.7 to 1.2).

    Newton-Schulz iteration of fifth degree, with the coefficients of Jordan et al. (2024).
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x: torch.Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.T
        x = _A * x + (_B * square + _C * square @ square) @ x
    return x.T if tall else x


def make_optimizers(settings: OptimizerSettings, network: nn.Module) -> list[torch.optim.Optimizer]:
    """The optimisers of a network's parameters, each parameter with one of them.

    Only kernels and matrices decay: biases and normalisation have no scale to lose. Muon moves the kernels of
    convolutions and the matrices between hidden layers; AdamW the last matrix and all vectors.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    kernels = [weight for weight in weights if weight.ndim > 1]
    vectors = [weight for weight in weights if weight.ndim <= 1]
    first: list[torch.optim.Optimizer] = []
    if settings.name == "muon":
        hidden, kernels = kernels[:-1], kernels[-1:]
        first = [Muon(hidden, settings.lr, weight_decay=settings.weight_decay)] if hidden else []
    groups = [
        {"params": kernels, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if settings.name == "sgd":
        momentum = settings.momentum
        return [torch.optim.SGD(groups, lr=settings.lr, momentum=momentum, nesterov=momentum > 0)]
    return [*first, torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.momentum, 0.99))]
