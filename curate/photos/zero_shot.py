"""Evidence from words: how near a picture's CLIP embedding lies to sentences that name the kinds.

Zero-shot classification with prompt ensembles (Radford et al., arXiv:2103.00020, section 3.1.4): a kind's vector is the
mean of its sentences' unit vectors; the model's own temperature turns cosines into log-likelihoods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curate.photos.contamination import KINDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.encoders import ClipEncoder

PROMPTS = {
    "photo": (
        "a photo.",
        "a photograph of an object.",
        "a photo taken with a camera.",
        "a product photo on a white background.",
        "a black and white photograph.",
        "a close-up photo.",
    ),
    "drawing": (
        "a drawing.",
        "a cartoon.",
        "a sketch.",
        "a line drawing.",
        "clip art.",
        "an icon.",
        "an emoji.",
        "a comic.",
        "a vector illustration.",
        "an engraving.",
        "a 3d render.",
    ),
    "painting": (
        "a painting.",
        "an oil painting.",
        "a watercolour painting.",
        "a digital painting.",
        "an artwork painted with a brush.",
    ),
}
"""Sentences for each kind."""


def evidence(vectors: NDArray[np.float32], encoder: ClipEncoder) -> NDArray[np.float32]:
    """Log-likelihoods float32 (N, 3) of photo, drawing and painting for embeddings (N, D) of that encoder."""
    kinds = []
    for kind in KINDS:
        mean = encoder.words(PROMPTS[kind]).mean(axis=0)
        kinds.append(mean / np.linalg.norm(mean))
    found: NDArray[np.float32] = (encoder.scale * vectors @ np.stack(kinds).T).astype(np.float32)
    return found
