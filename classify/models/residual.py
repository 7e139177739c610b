"""Residual networks whose stem fits the size of the picture.

He et al., "Identity mappings in deep residual networks" (2016); the stems and the average-pooled shortcut follow
He et al., "Bag of tricks for image classification" (2019).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from classify.models import register


def _conv(inside: int, outside: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """Two 3 x 3 convolutions and a shortcut: (N, inside, S, S) to (N, outside, S / stride, S / stride).

    The last normalisation starts at zero, so that the block starts as its shortcut.
    """

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inside, outside, stride=stride)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = _conv(outside, outside)
        self.norm2 = nn.BatchNorm2d(outside)
        nn.init.zeros_(self.norm2.weight)
        self.stride = stride
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.shortcut = nn.Sequential(_conv(inside, outside, 1), nn.BatchNorm2d(outside))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        short = self.shortcut(F.avg_pool2d(x, self.stride) if self.stride > 1 else x)
        x = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(x)).add_(short), inplace=True)


class Residual(nn.Module):
    """Stem, stages of blocks, mean over the plane, linear head: (N, 3, S, S) to logits (N, classes).

    `widths` are the channels of each stage, `depths` its blocks. `halvings` is how many times the stem halves the
    picture before the first stage; each later stage halves once more.
    """

    def __init__(
        self, classes: int, widths: list[int], depths: list[int], halvings: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.stem = _stem(widths[0], halvings)
        stages: list[nn.Module] = []
        inside = widths[0]
        for index, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for block in range(depth):
                stages.append(Block(inside, width, 2 if block == 0 and index > 0 else 1))
                inside = width
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(inside, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = self.stages(self.stem(x))
        logits: torch.Tensor = self.head(self.dropout(x.mean((2, 3))))
        return logits


def _stem(width: int, halvings: int) -> nn.Sequential:
    """First layers for small pictures (no halving), middling ones (one) and large ones (two)."""
    layers: list[nn.Module] = [_conv(3, width, 3 if halvings < 2 else 7, 1 if halvings == 0 else 2)]
    layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    if halvings == 2:
        layers.append(nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(*layers)


def halvings(size: int) -> int:
    """How often the stem halves a picture of `size` pixels: none up to 48, once up to 112, else twice."""
    return 0 if size <= 48 else 1 if size <= 112 else 2


@register("small-resnet")
def small_resnet(classes: int, size: int = 64, width: int = 32, dropout: float = 0.0) -> nn.Module:
    """A small residual network of four stages of 1, 2, 2 and 1 blocks: what two cores can train in minutes."""
    widths = [width, 2 * width, 4 * width, 8 * width]
    return Residual(classes, widths, [1, 2, 2, 1], halvings(size), dropout)


@register("resnet18")
def resnet18(classes: int, size: int = 224, width: int = 64, dropout: float = 0.0) -> nn.Module:
    """ResNet-18 (He et al., 2015) with a stem for the size."""
    widths = [width * 2**stage for stage in range(4)]
    return Residual(classes, widths, [2, 2, 2, 2], halvings(size), dropout)
