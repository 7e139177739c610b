"""The loss of a batch: cross-entropy with soft targets, and what helps where classes are unequal."""

from __future__ import annotations

import torch


def loss(logits: torch.Tensor, targets: torch.Tensor, focal: float = 0.0) -> torch.Tensor:
    """Mean loss, a scalar, of logits (N, C) in any precision against targets float32 (N, C).

    A target row is a distribution over classes times the picture's weight. `focal` is the focusing parameter of the focal
    loss (Lin et al., 2017): each class's term counts (1 - its probability) to that power; 0 is cross-entropy.
    """
    belief = logits.float().log_softmax(1)
    terms = targets * belief
    if focal:
        terms = terms * (1 - belief.exp()).clamp_min(0) ** focal
    return -terms.sum(1).mean()


def log_shares(rates: torch.Tensor, labels: torch.Tensor, classes: int, tau: float) -> torch.Tensor:
    """What is added to the logits in training: `tau` times the logarithm of each class's share, float32 (C,).

    With 1 this is the balanced softmax (Ren et al., 2020), also known as logit adjustment (Menon et al., 2021): the network
    learns the classes as if they were equally common. `rates` (N,) say how often each picture of `labels` (N,) is drawn; a
    class that is never drawn counts as one picture.
    """
    counts = torch.zeros(classes, dtype=torch.float64, device=labels.device)
    counts.index_add_(0, labels, rates.double().to(labels.device))
    counts = counts.clamp_min(float(rates.sum()) / max(len(rates), 1))
    return (tau * (counts / counts.sum()).log()).float()
