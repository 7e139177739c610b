"""A fast network for pictures of 32 pixels: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (2024).

arXiv:2404.00498, sections 3.1 to 3.3. The network only: its optimiser and its augmentation are not part of it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from classify.models import register, too_small

_PATCH = 2
"""Side of the whitening convolution's kernel, pixels."""

_WHITENED = 2 * 3 * _PATCH**2
"""Channels behind the whitening: each direction of a patch and its negative."""

_FLOOR = 5e-4
"""Added to the variance of each direction, so that noise in those that hardly occur is not blown up."""

_SCALE = 1 / 9
"""Of the logits: the head starts mild."""

_LEAST_SIZE = 9
"""What leaves one position behind three halvings."""

_CHUNK = 256
"""Pictures whose patches are in memory at once."""


def _conv(inside: int, outside: int) -> nn.Conv2d:
    """A 3 x 3 convolution that starts by passing its channels on (as many as fit); the others start at random."""
    conv = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
    nn.init.dirac_(conv.weight[:inside])
    return conv


def _norm(channels: int) -> nn.BatchNorm2d:
    """Normalisation with a trainable shift but no scale; torch's momentum is one minus the paper's .6.

    Torch's epsilon, not the paper's 1e-12: grey pictures leave whitened channels that hold only rounding errors.
    """
    norm = nn.BatchNorm2d(channels, momentum=1 - 0.6)
    norm.weight.requires_grad_(False)
    return norm


class Group(nn.Sequential):
    """Two convolutions, the first with a halving: (N, inside, S, S) to (N, outside, S // 2, S // 2)."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(
            _conv(inside, outside), nn.MaxPool2d(2), _norm(outside), nn.GELU(),
            _conv(outside, outside), _norm(outside), nn.GELU(),
        )  # fmt: skip


class Airbench(nn.Module):
    """Whitening, three groups, maximum over the plane, scaled head: (N, 3, S, S) to logits (N, classes).

    `widths` are the channels of each group. The whitening's kernels are frozen: random until `prepare` was called.
    """

    def __init__(self, classes: int, widths: tuple[int, int, int], dropout: float) -> None:
        super().__init__()
        self.whitening = nn.Conv2d(3, _WHITENED, _PATCH)
        self.whitening.weight.requires_grad_(False)
        self.whitening.bias = nn.Parameter(torch.zeros(_WHITENED))
        self.groups = nn.Sequential(
            Group(_WHITENED, widths[0]), Group(widths[0], widths[1]), Group(widths[1], widths[2])
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[2], classes, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = self.groups(F.gelu(self.whitening(x)))
        logits: torch.Tensor = self.head(self.dropout(x.amax((2, 3)))) * _SCALE
        return logits

    @torch.no_grad()
    def prepare(self, images: torch.Tensor) -> None:
        """Set the whitening from training pictures, normalised float32 (N, 3, S, S): its outputs get variance one.

        The kernels are the eigenvectors of the patches' second moments over the roots of the eigenvalues, and their
        negatives (section 3.2). Raises ValueError without pictures.
        """
        if not len(images):
            raise ValueError("images: none to prepare with")
        moments = torch.zeros(_WHITENED // 2, _WHITENED // 2, dtype=torch.float64)
        for chunk in torch.split(images.cpu(), _CHUNK):
            patches = F.unfold(chunk, _PATCH)
            moments += torch.einsum("nip,njp->ij", patches, patches).double() / patches.shape[2]
        values, vectors = torch.linalg.eigh(moments / len(images))
        kernels = (vectors / (values.clamp(min=0) + _FLOOR).sqrt()).T.flip(0)
        weight = self.whitening.weight
        weight.copy_(torch.cat([kernels, -kernels]).reshape(weight.shape))


@register("airbench")
def airbench(classes: int, size: int = 32, width: int = 0, dropout: float = 0.0) -> nn.Module:
    """airbench94's network (Jordan, 2024): whitened pictures, six convolutions; for 32 px.

    `width` 64 is the paper's: groups of 64, 256 and 256 channels. Larger pictures work, but their time grows with the
    area.
    """
    if size < _LEAST_SIZE:
        raise too_small("airbench", size, _LEAST_SIZE)
    width = width or 64
    return Airbench(classes, (width, 4 * width, 4 * width), dropout)
