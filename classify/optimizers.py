"""Which optimiser moves which weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch

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
    """A matrix float32 (M, N) with the singular vectors of `matrix` and singular values near 1 (about 0.5 to 1.3; tiny
    ones come out smaller).

    Newton-Schulz iteration of fifth degree, with the coefficients of Jordan et al. (2024). A step multiplies by a polynomial
    in the Gram matrix of the shorter side, and all of these commute: so they are gathered there and meet the long side
    once. Kernels are nine times as long as wide; this takes a third of the time. It needs float32: the Gram matrix holds
    squares.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x: torch.Tensor = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    square = gathered = x @ x.T
    for number in range(_ROUNDS):
        factor = torch.addmm(square, square, square, beta=_B, alpha=_C)
        factor.diagonal().add_(_A)
        gathered = factor @ gathered if number else factor
        if number < _ROUNDS - 1:
            square = factor @ square @ factor
    x = gathered @ x
    return x.T if tall else x


def make_optimizers(
    settings: OptimizerSettings, parts: list[dict[str, Any]], members: int = 1
) -> list[torch.optim.Optimizer]:
    """The optimisers of a network, each parameter with one of them.

    `parts` are parameters by the factor on their rate, see `classify.groups.scaled_groups`; those that never learn are left
    out. Only kernels and matrices decay: biases and normalisation have no scale to lose. Muon moves kernels and matrices
    but the last one, which stands for the head, AdamW the others. Of an ensemble that is the last one of each of its
    `members`, which stand one behind the other and are of the same length.
    """
    kernels, vectors = _grouped(parts, settings.weight_decay, True), _grouped(parts, 0.0, False)
    if settings.name == "sgd":
        momentum = settings.momentum
        return [torch.optim.SGD([*kernels, *vectors], settings.lr, momentum, nesterov=momentum > 0)]
    betas = (settings.momentum, 0.99)
    if settings.name == "adamw" or not kernels:
        return [torch.optim.AdamW([*kernels, *vectors], settings.lr, betas)]
    # The head's part comes first where rates fall away from it; within a part weights stand in the network's order.
    every = len(kernels[0]["params"]) // members
    heads = kernels[0]["params"][every - 1 :: every]
    del kernels[0]["params"][every - 1 :: every]
    last = [{**kernels[0], "params": heads}]
    hidden = [group for group in kernels if group["params"]]
    muon = [Muon(hidden, settings.lr, weight_decay=settings.weight_decay)] if hidden else []
    return [*muon, torch.optim.AdamW([*last, *vectors], settings.lr, betas)]


def _grouped(parts: list[dict[str, Any]], weight_decay: float, kernels: bool) -> list[dict[str, Any]]:
    """The parts' parameters of two dimensions or more (`kernels`) or of fewer, without empty parts."""
    found = []
    for part in parts:
        params = [value for value in part["params"] if value.requires_grad and (value.ndim > 1) == kernels]
        if params:
            found.append({**part, "params": params, "weight_decay": weight_decay})
    return found
