"""The head: from the moments of the built-in encoder's feature maps to the evidence for a photograph.

Its weights (`head.safetensors`, see docs/photo-head.md) were trained once, on free pictures; nothing is asked of the
user. The moments become `cues`, which the embeddings table keeps; the evidence is a small function of the cues, so that
it can be adapted inside a folder without reading a picture again.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHTS = Path(__file__).with_name("head.safetensors")


@dataclasses.dataclass(frozen=True)
class Head:
    """The weights, float32: a perceptron of one hidden layer, in truth several side by side whose logits are averaged.

    `mean` and `scale` (928,) standardise the moments, cut at +-`limit` (); `hidden` (928, U) and `hidden_bias` (U,) take
    them to cues; `out` (U, 3) and `out_bias` (3,) take the positive parts of the cues to the evidence.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    limit: NDArray[np.float32]
    hidden: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    out: NDArray[np.float32]
    out_bias: NDArray[np.float32]

    def cues(self, moments: NDArray[np.float32]) -> NDArray[np.float32]:
        """Moments float32 (N, 928) to cues float32 (N, U)."""
        standard = np.clip((moments - self.mean) / self.scale, -self.limit, self.limit)
        found: NDArray[np.float32] = standard @ self.hidden + self.hidden_bias
        return found

    def evidence(self, cues: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cues (N, U) to log-likelihoods float32 (N, 3) of photo, drawing and painting, up to a constant a row.

        They are logits of a classifier that was trained with the three kinds equally common.
        """
        found: NDArray[np.float32] = np.maximum(cues, 0) @ self.out + self.out_bias
        return found


def load_head(file: Path = WEIGHTS) -> Head:
    """The head's weights. Raises UserError where the file is missing or is another one."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(file)
        return Head(
            **{field.name: tensors[field.name].astype(np.float32) for field in dataclasses.fields(Head)}
        )
    except (OSError, SafetensorError, KeyError) as error:
        raise UserError(
            f"{file}: the photo filter's weights cannot be read ({error}).",
            "Install curate-classify again.",
        ) from error
