"""The views of a picture that a network's beliefs are averaged over (test-time augmentation)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Views:
    """A picture as it is, and what else a network is asked about before its beliefs are averaged.

    `turn`: also turned by so many degrees to either side. `shift`: also moved by so many pixels, up and left, down and right
    (airbench's "multi-crop", Jordan, 2024, https://arxiv.org/abs/2404.00498, with equal weights). `flip`: also all of these mirrored.
    What moves into the picture repeats its border, as in training.
    """

    flip: bool = False
    turn: float = 0.0
    shift: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Views:
        """What the section `evaluation` of a run's settings asks for; without one, the picture alone."""
        own = settings.get("evaluation", {})
        return cls(bool(own.get("flip", False)), float(own.get("turn", 0.0)), int(own.get("shift", 0)))

    def __len__(self) -> int:
        """How many there are."""
        return (1 + 2 * bool(self.turn) + 2 * bool(self.shift)) * (1 + self.flip)

    def __call__(self, batch: torch.Tensor) -> Iterator[torch.Tensor]:
        """Each view of pictures float32 (N, 3, S, S), in the same shape; the first is `batch` itself."""
        for pose in self._poses(batch):
            yield pose
            if self.flip:
                yield pose.flip(3)

    def _poses(self, batch: torch.Tensor) -> Iterator[torch.Tensor]:
        import torch
        import torch.nn.functional as F

        yield batch
        for angle in (self.turn, -self.turn) if self.turn else ():
            cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            matrix = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]], device=batch.device)
            grid = F.affine_grid(matrix.expand(batch.shape[0], 2, 3), list(batch.shape), align_corners=False)
            yield F.grid_sample(batch, grid, padding_mode="border", align_corners=False)
        if self.shift:
            high, wide = batch.shape[2:]
            framed = F.pad(batch, [self.shift] * 4, mode="replicate")
            for at in (2 * self.shift, 0):
                yield framed[:, :, at : at + high, at : at + wide]


ALONE = Views()
"""The picture as it is, and nothing else."""
