"""Photographs found from this folder's pictures alone: clusters of the embedding, named by what their pictures are made of.

Nothing was trained for this but the encoder. A mixture of normal distributions of one shape, as many as the Bayesian
information criterion asks for (Schwarz, Annals of Statistics 6, 1978), finds the heaps; so a dense heap stays one heap.
Each is named by its *texture*: photographs have many grey levels and hardly any two equal neighbours; drawings the
opposite. A folder in which all heaps are of one kind holds one kind, and nothing is removed. Texture cannot tell paintings
from photographs.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PHOTOGRAPHIC = 0.45
"""Mean texture from which a cluster holds photographs; measured, cartoons' clusters have at most 0.43, sketches' and emoji's below 0."""

NEAR = 0.12
"""How far from that line a texture still leaves doubt about a cluster's name."""

_AXES, _MOST_CLUSTERS, _LEAST_PICTURES = 12, 12, 10
_PATIENCE = 2
_TEXTURE_WEIGHT = 0.5
_ENOUGH = 5_000


@dataclasses.dataclass(frozen=True)
class Clusters:
    """`member` float64 (N, K): to what share each picture belongs to each cluster; `texture` float64 (K,), their means;
    `said` int (K,): 1 where people called its pictures photographs, -1 where drawings, 0 where they said nothing."""

    member: NDArray[np.float64]
    texture: NDArray[np.float64]
    said: NDArray[np.int_]

    @property
    def photographic(self) -> NDArray[np.bool_]:
        """Which clusters hold photographs, (K,): what people said counts, else the texture.

        Where textures make all of them photographs there is nothing to compare with: none is.
        """
        by_texture = self.texture >= PHOTOGRAPHIC
        if by_texture.all():
            by_texture = np.zeros_like(by_texture)
        return np.where(self.said, self.said > 0, by_texture)

    def probability(self) -> NDArray[np.float64]:
        """Share float64 (N,) to which each picture belongs to clusters of photographs."""
        found: NDArray[np.float64] = self.member[:, self.photographic].sum(axis=1)
        return found

    def share(self, line: float) -> float:
        """Share of the pictures in clusters whose texture reaches `line`, or that people called photographs."""
        if not len(self.member):
            return 0.0
        found = np.where(self.said, self.said > 0, self.texture >= line)
        return float(self.member[:, found].sum() / len(self.member))

    def names(self) -> list[str]:
        """For each picture its cluster in words, such as `2: drawings`; the largest cluster is 1."""
        own = self.member.argmax(axis=1)
        largest = np.argsort(-np.bincount(own, minlength=self.member.shape[1]), kind="stable")
        words = {
            int(k): f"{rank}: {'photographs' if self.photographic[k] else 'drawings'}"
            for rank, k in enumerate(largest, 1)
        }
        return [words[int(k)] for k in own]


def textures(entropy: NDArray[np.floating[Any]], flatness: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Texture -1..1 from the measures of the table `files`: entropy of the grey levels, bits of 8, less the flat share."""
    return np.asarray(entropy, np.float64) / 8 - np.asarray(flatness, np.float64)


def find_clusters(
    vectors: NDArray[np.float32], texture: NDArray[np.float64], label: NDArray[np.integer[Any]] | None = None
) -> Clusters:
    """Clusters of pictures by their embeddings float32 (N, D) and textures float64 (N,); one where there are few pictures.

    The mixture is fitted to at most 5,000 of them, evenly chosen. `label` (N,) is 1 for what a person called a photograph,
    -1 for a drawing, else 0; it names clusters, and does not shape them.
    """
    from sklearn.mixture import GaussianMixture

    count = len(vectors)
    if count < 2 * _LEAST_PICTURES:
        return Clusters(np.ones((count, 1)), np.array([texture.mean() if count else 0.0]), np.zeros(1, int))
    points = _axes(vectors, texture)
    chosen = points[np.linspace(0, count - 1, min(count, _ENOUGH)).astype(int)]
    best, score = None, np.inf
    for clusters in range(1, _MOST_CLUSTERS + 1):
        if clusters * _LEAST_PICTURES > len(chosen) or (best and clusters > best.n_components + _PATIENCE):
            break
        model = GaussianMixture(clusters, covariance_type="tied", n_init=2, random_state=0, reg_covar=1e-3)
        found = model.fit(chosen).bic(chosen)
        if found < score:
            best, score = model, found
    assert best is not None  # one cluster is always tried
    member = best.predict_proba(points)
    weight = member.sum(axis=0)
    kept = weight > 1e-9
    member = member[:, kept]
    votes = np.zeros(len(weight[kept]))
    if label is not None:
        np.add.at(votes, member.argmax(axis=1), label)
    return Clusters(member, (member.T @ texture) / weight[kept], np.sign(votes).astype(int))


def _axes(vectors: NDArray[np.float32], texture: NDArray[np.float64]) -> NDArray[np.float64]:
    """The principal axes of the embeddings, scaled so that the first has unit deviation, and the texture beside them."""
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    most = min(_AXES, len(vectors) // 10)
    along = centred @ axes[:, ::-1][:, :most]
    along /= max(float(along[:, 0].std()), 1e-12)
    beside = (texture - texture.mean()) / max(float(texture.std()), 1e-12)
    return np.column_stack([along, _TEXTURE_WEIGHT * beside])
