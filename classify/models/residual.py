"""Residual networks whose stem fits the size of the picture.

He et al., "Deep residual learning for image recognition" (2015); the stems and the average-pooled shortcut follow
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
    """Two 3 x 3 convolutions and a shortcut: (N, inside, S, S) to (N, outside, T, T), T = ceil(S / stride).

    The last normalisation starts at zero, so that the block starts as its shortcut.
    """

    expansion = 1
    """Channels that come out, by those asked for."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inside, outside, stride=stride)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = _conv(outside, outside)
        self.norm2 = nn.BatchNorm2d(outside)
        nn.init.zeros_(self.norm2.weight)
        self.stride = stride
        self.shortcut = _shortcut(inside, outside, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        short = self.shortcut(_pooled(x, self.stride))
        x = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(x)).add_(short), inplace=True)


class Bottleneck(nn.Module):
    """Convolutions of 1, 3 and 1 pixels and a shortcut: (N, inside, S, S) to (N, 4 middle, T, T), T = ceil(S / stride).

    The halving is in the 3 x 3 convolution, so that no position is skipped. The last normalisation starts at zero.
    """

    expansion = 4
    """Channels that come out, by those asked for."""

    def __init__(self, inside: int, middle: int, stride: int) -> None:
        super().__init__()
        outside = middle * self.expansion
        self.conv1 = _conv(inside, middle, 1)
        self.norm1 = nn.BatchNorm2d(middle)
        self.conv2 = _conv(middle, middle, stride=stride)
        self.norm2 = nn.BatchNorm2d(middle)
        self.conv3 = _conv(middle, outside, 1)
        self.norm3 = nn.BatchNorm2d(outside)
        nn.init.zeros_(self.norm3.weight)
        self.stride = stride
        self.shortcut = _shortcut(inside, outside, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        short = self.shortcut(_pooled(x, self.stride))
        x = F.relu(self.norm1(self.conv1(x)), inplace=True)
        x = F.relu(self.norm2(self.conv2(x)), inplace=True)
        return F.relu(self.norm3(self.conv3(x)).add_(short), inplace=True)


def _pooled(x: torch.Tensor, stride: int) -> torch.Tensor:
    """The mean over squares of `stride` pixels; an odd side is rounded up, as the convolutions of the block do."""
    return F.avg_pool2d(x, stride, ceil_mode=True) if stride > 1 else x


def _shortcut(inside: int, outside: int, stride: int) -> nn.Module:
    """What the shortcut does behind its average pooling: nothing where the shape stays."""
    if stride == 1 and inside == outside:
        return nn.Identity()
    return nn.Sequential(_conv(inside, outside, 1), nn.BatchNorm2d(outside))


class Residual(nn.Module):
    """Stem, stages of blocks, mean over the plane, linear head: (N, 3, S, S) to logits (N, classes).

    `widths` are the channels of each stage (before the expansion of its `block`), `depths` its blocks. `halvings` is
    how many times the stem halves the picture before the first stage; each later stage halves once more.
    """

    def __init__(
        self,
        classes: int,
        widths: list[int],
        depths: list[int],
        halvings: int,
        dropout: float = 0.0,
        block: type[Block] | type[Bottleneck] = Block,
    ) -> None:
        super().__init__()
        self.stem = _stem(widths[0], halvings)
        stages: list[nn.Module] = []
        inside = widths[0]
        for index, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            for number in range(depth):
                stages.append(block(inside, width, 2 if number == 0 and index > 0 else 1))
                inside = width * block.expansion
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
    """How often the stem halves a picture of `size` pixels: none up to 48, once up to 128, else twice."""
    return 0 if size <= 48 else 1 if size <= 128 else 2


def _widths(width: int) -> list[int]:
    return [width * 2**stage for stage in range(4)]


@register("small-resnet")
def small_resnet(classes: int, size: int = 64, width: int = 0, dropout: float = 0.0) -> nn.Module:
    """Small residual network, 1, 2, 2 and 1 blocks: what two cores can train in minutes; any size.

    32 channels in the first stage.
    """
    return Residual(classes, _widths(width or 32), [1, 2, 2, 1], halvings(size), dropout)


@register("resnet18")
def resnet18(classes: int, size: int = 224, width: int = 0, dropout: float = 0.0) -> nn.Module:
    """ResNet-18 (He et al., 2015), the stem fits the size."""
    return Residual(classes, _widths(width or 64), [2, 2, 2, 2], halvings(size), dropout)


@register("resnet34")
def resnet34(classes: int, size: int = 224, width: int = 0, dropout: float = 0.0) -> nn.Module:
    """ResNet-34 (He et al., 2015), the stem fits the size."""
    return Residual(classes, _widths(width or 64), [3, 4, 6, 3], halvings(size), dropout)


@register("resnet50")
def resnet50(classes: int, size: int = 224, width: int = 0, dropout: float = 0.0) -> nn.Module:
    """ResNet-50 (He et al., 2015), bottleneck blocks, the stem fits the size."""
    return Residual(classes, _widths(width or 64), [3, 4, 6, 3], halvings(size), dropout, Bottleneck)


@register("resnet101")
def resnet101(classes: int, size: int = 224, width: int = 0, dropout: float = 0.0) -> nn.Module:
    """ResNet-101 (He et al., 2015), bottleneck blocks, the stem fits the size."""
    return Residual(classes, _widths(width or 64), [3, 4, 23, 3], halvings(size), dropout, Bottleneck)
