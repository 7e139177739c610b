"""The loss and what it adds for unequal classes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from classify.losses import log_shares, loss


def test_without_focus_it_is_cross_entropy() -> None:
    logits, labels = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 4
    targets = F.one_hot(labels, 4).float()
    torch.testing.assert_close(loss(logits, targets), F.cross_entropy(logits, labels))


def test_focus_takes_from_what_is_easy() -> None:
    logits = torch.tensor([[4.0, 0.0], [0.2, 0.0]])
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    easy, hard = (float(loss(logits[i : i + 1], targets[i : i + 1], 2.0)) for i in (0, 1))
    belief = torch.softmax(logits, 1)[:, 0]
    assert easy == pytest.approx(float(-((1 - belief[0]) ** 2) * belief[0].log()), rel=1e-4)
    assert easy / float(loss(logits[:1], targets[:1])) < hard / float(loss(logits[1:], targets[1:]))


def test_the_balanced_softmax_is_the_softmax_over_counts() -> None:
    """Ren et al. (2020), equation 3: n_j exp(z_j) / sum of n_i exp(z_i)."""
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    shift = log_shares(torch.ones(10), labels, 3, 1.0)
    logits = torch.tensor([[0.3, -0.2, 1.0]])
    expected = torch.tensor([6.0, 3.0, 1.0]) * logits.exp()
    torch.testing.assert_close((logits + shift).softmax(1), expected / expected.sum())
    assert log_shares(torch.ones(10), labels, 3, 0.0).abs().max() == 0


def test_a_class_that_is_never_drawn_has_a_finite_shift() -> None:
    assert log_shares(torch.ones(4), torch.zeros(4, dtype=torch.int64), 2, 1.0).isfinite().all()
