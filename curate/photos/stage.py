"""The stage `filter-photos`: the tables `embeddings` and `photos` from the table `files`."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from curate.errors import UserError
from curate.photos.adaptation import adapt
from curate.photos.calibration import recalibrate
from curate.photos.contamination import KINDS, Contamination, estimate, posteriors, revised
from curate.photos.decision import decide
from curate.photos.head import load_head
from curate.photos.look import update_embeddings
from curate.tables import EMBEDDINGS

if TYPE_CHECKING:
    from curate.pipeline import Context
    from curate.workspace import Workspace

VERSION = 1


@dataclasses.dataclass(frozen=True)
class PhotoSettings:
    """How photographs are looked for.

    encoder : whose vectors the embeddings table holds (see `curate.encoders.load_encoder`); the photo filter itself always
        reads the built-in one.
    min_confidence : how sure the filter must be of a photograph before it removes it, 0.5..1; it asks for more in a folder
        of paintings.
    """

    encoder: str = "builtin"
    min_confidence: float = 0.8


def run(context: Context, settings: PhotoSettings) -> dict[str, pd.DataFrame]:
    """Look at every readable picture that is new, then score and decide; returns `embeddings` and `photos`.

    Raises UserError for an encoder that cannot be had and for a confidence outside 0.5..1.
    """
    if not 0.5 <= settings.min_confidence <= 1:
        raise UserError(
            f"filter-photos: a confidence of {settings.min_confidence} makes no sense.",
            "Give one between 0.5 and 1.",
        )
    files = context.read("files")
    embeddings = update_embeddings(
        files,
        _known(context.workspace, settings.encoder),
        settings.encoder,
        os.fspath(context.workspace.root),
        workers=context.workers,
        progress=context.progress,
    )
    photos, share = find_photos(files, embeddings, settings)
    context.say(share.sentence())
    return {"embeddings": embeddings, "photos": photos}


def find_photos(
    files: pd.DataFrame, embeddings: pd.DataFrame, settings: PhotoSettings
) -> tuple[pd.DataFrame, Contamination]:
    """The table `photos` from the tables `files` and `embeddings`, and the folder's estimated share of photographs.

    The share is estimated over contents, so that ten copies of one picture count once.
    """
    head = load_head()
    cues = np.array(embeddings["cues"].tolist(), np.float32).reshape(len(embeddings), -1)
    evidence = head.evidence(cues) if len(cues) else np.zeros((0, len(KINDS)), np.float32)
    share = estimate(evidence)
    probability = posteriors(evidence, share)
    if share.present:
        probability = recalibrate(evidence, share, probability)
        probability = adapt(np.array(embeddings["vector"].tolist(), np.float32), probability)
        share = revised(share, probability)
    return decide(files, embeddings["content"], probability, share, settings.min_confidence), share


def _known(workspace: Workspace, encoder: str) -> pd.DataFrame:
    origin = workspace.origin("embeddings")
    if origin is None or origin.version != VERSION or origin.settings.get("encoder") != encoder:
        return EMBEDDINGS.empty()
    return workspace.read("embeddings")
