"""How photographs are looked for: settings, checked before anything is read."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

from curate.errors import UserError
from curate.walk import walk

BACKENDS = ("embedded", "cluster", "clip")
WANTED = ("photos", "illustrations")
CLIP = "open_clip:ViT-B-32/laion2b_s34b_b79k"
"""The backend `clip` looks through this encoder where none is named."""


@dataclasses.dataclass(frozen=True)
class PhotoSettings:
    """How photographs are looked for.

    backend : `embedded`, the shipped head on the built-in encoder; `cluster`, clusters of this folder's pictures alone;
        `clip`, sentences that name the kinds, through a CLIP model.
    encoder : whose vectors the embeddings table holds (see `curate.encoders.load_encoder`); empty is `builtin`, and for the
        backend `clip` the model `CLIP`. The head always reads the built-in one.
    find : `photos` among illustrations, or `illustrations` among photographs.
    examples : a folder that holds a handful of pictures in `photos` and in `drawings`; empty: there is none.
    examples_state : what `state_of` says of that folder, so that other examples are noticed.
    min_confidence : how sure the filter must be of a picture before it removes it, 0.5..1; it asks for more in a folder of
        paintings.
    max_removed : where more than this share of the pictures would go, none goes and a person is asked.
    """

    backend: str = "embedded"
    encoder: str = ""
    find: str = "photos"
    examples: str = ""
    examples_state: str = ""
    min_confidence: float = 0.8
    max_removed: float = 0.7

    def looks_through(self) -> str:
        """The encoder's name."""
        return self.encoder or (CLIP if self.backend == "clip" else "builtin")

    def check(self) -> None:
        """Raises UserError for a setting that means nothing."""
        for name, value, known in (("backend", self.backend, BACKENDS), ("find", self.find, WANTED)):
            if value not in known:
                raise UserError(
                    f"filter-photos: {name} '{value}' is not known.", f"Give one of {', '.join(known)}."
                )
        if not 0.5 <= self.min_confidence <= 1:
            raise UserError(
                f"filter-photos: a confidence of {self.min_confidence} makes no sense.",
                "Give one between 0.5 and 1.",
            )
        if not 0 < self.max_removed <= 1:
            raise UserError(
                f"filter-photos: {self.max_removed} is no share of pictures that may go.",
                "Give --max-removed above 0 and up to 1.",
            )


def state_of(folder: str) -> str:
    """SHA-256 of the names, sizes and times of the pictures below a folder; empty for no folder, or none that is there."""
    if not folder or not Path(folder).is_dir():
        return ""
    found = sorted((str(path), size, time) for path, size, time in walk(folder).files)
    return hashlib.sha256(repr(found).encode("utf-8", "backslashreplace")).hexdigest()
