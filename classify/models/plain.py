"""A plain convolutional network.

Pairs of 3 x 3 convolutions between poolings as in Simonyan & Zisserman, "Very deep convolutional networks for
large-scale image recognition" (2014); batch normalisation (Ioffe & Szegedy, 2015) and the mean over the plane in place
of large linear layers (Lin et al., "Network in network", 2013).
"""

from __future__ import annotations

import itertools

import torch
from torch import nn

from classify.models import register
from classify.models.residual import halvings

_WIDEST = 8
"""Stages double their channels up to so many times those of the first."""


def _stage(inside: int, outside: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for channels in (inside, outside):
        layers += [nn.Conv2d(channels, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside)]
        layers.append(nn.ReLU(inplace=True))
    return layers


class Plain(nn.Module):
    """Stages of two convolutions, halved between, mean over the plane, head: (N, 3, S, S) to logits (N, classes).

    `widths` are the channels of each stage.
    """

    def __init__(self, classes: int, widths: list[int], dropout: float) -> None:
        super().__init__()
        layers = _stage(3, widths[0])
        for inside, outside in itertools.pairwise(widths):
            layers += [nn.MaxPool2d(2), *_stage(inside, outside)]
        self.stages = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        logits: torch.Tensor = self.head(self.dropout(self.stages(x).mean((2, 3))))
        return logits


@register("plain-cnn")
def plain_cnn(classes: int, size: int = 32, width: int = 0, dropout: float = 0.0) -> nn.Module:
    """Plain stages of two convolutions, as VGG with batch normalisation; any size, best at 28 to 64 px.

    Three stages up to 48 pixels, four up to 128, else five; 32 channels in the first.
    """
    width = width or 32
    widths = [width * min(2**stage, _WIDEST) for stage in range(3 + halvings(size))]
    return Plain(classes, widths, dropout)
