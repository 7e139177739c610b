"""Several networks of one kind in one: each learns from its own part of every batch, and they answer together.

A deep ensemble (Lakshminarayanan et al., arXiv:1612.01474). Networks that differ in nothing but their first weights and the
pictures that they happened to see err in different places, most of all on pictures unlike those they learnt from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from curate.errors import UserError


class Ensemble(nn.Module):
    """`members`, each float32 (N, 3, S, S) to logits (N, classes), as one network of the same shape.

    While training, the batch is cut into as many parts as there are members (the first ones are larger by one where it does
    not come out even), and each row's logits are those of its member: a step costs what it costs one network. Judging, the
    answer is the logarithm of the mean of the members' probabilities, at as many times the cost.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.training:
            parts = torch.tensor_split(x, len(self.members))
            return torch.cat([member(part) for member, part in zip(self.members, parts, strict=True)])
        beliefs = torch.stack([member(x).float().log_softmax(1) for member in self.members])
        return beliefs.logsumexp(0) - math.log(len(self.members))

    def prepare(self, images: torch.Tensor) -> None:
        """Show training pictures to the members that want to see some, see `classify.models.Preparing`."""
        for member in self.members:
            if callable(prepare := getattr(member, "prepare", None)):
                prepare(images)


def check_parts(members: int, batch: int, processes: int) -> None:
    """Raise UserError where a member would get fewer than two pictures of a process's part of a batch."""
    if members > 1 and batch < 2 * members * processes:
        raise UserError(
            f"training.batch_size is {batch}: less than two pictures for each of {members} members"
            + (f" in each of {processes} processes." if processes > 1 else "."),
            f"Set training.batch_size={64 * members * processes}, or take fewer model.members.",
        )
