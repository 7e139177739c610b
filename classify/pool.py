"""The training pictures on their device: how an epoch draws them, and what each counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from classify.data.dataset import Part
from classify.data.sampling import draw_epoch
from classify.learner import pick, resident
from classify.losses import log_shares
from classify.settings import Settings

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Pool:
    """What batches come from, balanced as `data.balance` says.

    Parameters
    ----------
    train : the training part.
    settings : those of the run.
    classes : how many there are.
    device : where batches are wanted.
    """

    def __init__(self, train: Part, settings: Settings, classes: int, device: torch.device) -> None:
        balance = settings.data.balance
        self.images = resident(torch.from_numpy(train.store), device)
        """The whole store, that of the validation part too: uint8 (M, S, S, 3)."""
        self.shift: torch.Tensor | None = None
        """Added to the logits in training, float32 (classes,): see `classify.losses.log_shares`."""
        self._training = settings.training
        self._device = device
        self._rows = torch.from_numpy(train.rows)
        self._labels = torch.from_numpy(train.labels).to(device)
        weighed = train.weights if balance == "loss" else np.ones(len(train), np.float32)
        self._weights = torch.from_numpy(weighed).to(device)
        rates = train.copies.astype(np.float64)
        self._rates = rates * train.weights if balance == "sample" else rates
        if balance == "logits":
            self.shift = log_shares(torch.from_numpy(rates), self._labels, classes, settings.data.tau)
        self.steps = max(1, round(float(rates.sum()) / settings.training.batch_size))
        """Batches in an epoch."""

    def epoch(self, number: int) -> NDArray[np.int64]:
        """Which training pictures the epoch `number`, from 0, draws: int64 (steps, batch size), indices into the part."""
        batch = self._training.batch_size
        drawn = draw_epoch(self._rates, self.steps * batch, self._training.seed, number)
        return drawn.reshape(self.steps, batch)

    def batch(self, indices: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pictures uint8 (N, S, S, 3), labels int64 (N,) and weights float32 (N,) of the indices, int64 (N,)."""
        drawn = torch.from_numpy(indices)
        chosen = drawn.to(self._device, non_blocking=True)
        return pick(self.images, self._rows[drawn]), self._labels[chosen], self._weights[chosen]
