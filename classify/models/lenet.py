"""LeNet-5: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition" (1998), II.B."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from classify.models import register, too_small

_KERNEL = 5

_PUBLISHED_SIZE = 32
"""The paper pads its pictures of 28 pixels to 32; smaller ones get the same border here."""

_LEAST_SIZE = 12
"""What leaves one position before the linear layers."""


class LeNet(nn.Module):
    """Two 5 x 5 convolutions, each halved by averaging, and three linear layers: (N, 3, S, S) to logits (N, classes).

    `widths` are the channels of the convolutions, then the features of the first two linear layers. As in the paper
    the non-linearity is tanh and the subsampling an average; unlike it the average has no weights of its own, the
    second convolution sees all channels, and the last layer is linear, with softmax as its loss.
    """

    def __init__(self, classes: int, size: int, widths: tuple[int, int, int, int], dropout: float) -> None:
        super().__init__()
        first, second, third, fourth = widths
        border = _KERNEL // 2 if size < _PUBLISHED_SIZE else 0
        side = ((size + 2 * border - _KERNEL + 1) // 2 - _KERNEL + 1) // 2
        self.conv1 = nn.Conv2d(3, first, _KERNEL, padding=border)
        self.conv2 = nn.Conv2d(first, second, _KERNEL)
        self.linear1 = nn.Linear(second * side * side, third)
        self.linear2 = nn.Linear(third, fourth)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(fourth, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = F.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = torch.tanh(self.linear1(x.flatten(1)))
        x = torch.tanh(self.linear2(x))
        logits: torch.Tensor = self.head(self.dropout(x))
        return logits


@register("lenet5", any_size=False)
def lenet5(classes: int, size: int = 32, width: int = 0, dropout: float = 0.0) -> nn.Module:
    """LeNet-5 (LeCun et al., 1998), tanh; for 28 to 32 px.

    `width` 6 is the paper's: 6 and 16 channels, 120 and 84 features. Larger pictures work, but the first linear layer
    grows with their area.
    """
    if size < _LEAST_SIZE:
        raise too_small("lenet5", size, _LEAST_SIZE)
    width = width or 6
    return LeNet(classes, size, (width, round(16 * width / 6), 20 * width, 14 * width), dropout)
