"""The stage `filter-photos`: the tables `embeddings`, `share` and `photos` from the tables `files` and `verdicts`.

Three backends say what the pictures look like: the shipped head on the built-in encoder (`embedded`), sentences and a
CLIP model (`clip`), and clusters of this folder alone (`cluster`). One layer decides for all of them.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from curate.encoders import ClipEncoder, load_encoder
from curate.errors import UserError
from curate.photos.adaptation import adapt
from curate.photos.calibration import recalibrate, settle
from curate.photos.clusters import NEAR, PHOTOGRAPHIC, find_clusters, textures
from curate.photos.contamination import KINDS, Contamination, estimate, posteriors, revised
from curate.photos.decision import TOO_MANY, Guard, decide, needed
from curate.photos.head import load_head
from curate.photos.labels import Taught, learn, read_examples, said
from curate.photos.look import update_embeddings
from curate.photos.settings import PhotoSettings
from curate.photos.zero_shot import evidence as words_evidence
from curate.tables import EMBEDDINGS, SHARE
from curate.verdicts import read_verdicts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curate.pipeline import Context
    from curate.workspace import Workspace

VERSION = 1


@dataclasses.dataclass(frozen=True)
class Known:
    """What is known besides the pictures: labelled embeddings, and what people said of this folder's contents."""

    taught: Taught
    said: pd.Series


def run(context: Context, settings: PhotoSettings) -> dict[str, pd.DataFrame]:
    """Look at every readable picture that is new, then score and decide; returns `embeddings`, `share` and `photos`.

    Raises UserError for settings that mean nothing, an encoder that cannot be had and examples that cannot be read.
    """
    settings.check()
    name = settings.looks_through()
    clip = _clip(name) if settings.backend == "clip" else None
    examples = read_examples(settings.examples, clip or load_encoder(name)) if settings.examples else None
    files = context.read("files")
    embeddings = update_embeddings(
        files,
        _known(context.workspace, name),
        name,
        os.fspath(context.workspace.root),
        workers=context.workers,
        progress=context.progress,
    )
    spoken = said(read_verdicts(context.workspace))
    known = Known(_taught(embeddings, spoken, examples), spoken)
    photos, share = find_photos(files, embeddings, settings, known, clip)
    return {"embeddings": embeddings, "share": _share_table(share, photos, settings), "photos": photos}


def _share_table(share: Contamination, photos: pd.DataFrame, settings: PhotoSettings) -> pd.DataFrame:
    sentence = share.sentence()
    held = int(photos["reason"].str.endswith(TOO_MANY).sum())
    if held:
        sentence += (
            f" {held:,} of {len(photos):,} would go, more than the {settings.max_removed:.0%} that --max-removed allows, so "
            "none goes: look at them first."
        )
    if settings.backend == "cluster" and share.present:
        sentence += (
            " The clusters are named by their texture alone, which takes paintings for photographs: look at them in the "
            "report; `curate verdict DIR PICTURE drawing` (or photo) names a picture's cluster."
        )
    threshold = needed(share, settings.min_confidence)
    row = (share.wanted, *share.interval(), share.painting, share.present, threshold, sentence)
    return pd.DataFrame([row], columns=list(SHARE.columns))


def find_photos(
    files: pd.DataFrame,
    embeddings: pd.DataFrame,
    settings: PhotoSettings,
    known: Known | None = None,
    clip: ClipEncoder | None = None,
) -> tuple[pd.DataFrame, Contamination]:
    """The table `photos` from the tables `files` and `embeddings`, and the folder's estimated share of photographs.

    The share is estimated over contents, so that ten copies of one picture count once. `clip` is the encoder of the
    vectors, for the backend of that name.
    """
    vectors = np.array(embeddings["vector"].tolist(), np.float32).reshape(len(embeddings), -1)
    if known is None:
        known = Known(Taught(vectors[:0], np.zeros(0, bool)), pd.Series(dtype=bool))
    names = [""] * len(embeddings)
    if settings.backend == "cluster":
        probability, share, names = _by_clusters(files, embeddings, vectors, settings.find, known.said)
        if share.present:
            probability = adapt(vectors, probability)
            share = revised(share, probability)
    else:
        evidence = _EVIDENCE[settings.backend](embeddings, vectors, clip)
        evidence[:, 0] += learn(vectors, known.taught).astype(np.float32)
        share = estimate(evidence, settings.find)
        probability = posteriors(evidence, share)
        if share.present:
            probability = recalibrate(evidence, share, probability)
            probability = settle(adapt(vectors, probability), share)
            share = revised(share, probability)
    guard = Guard(settings.min_confidence, settings.max_removed)
    photos = decide(files, embeddings["content"], probability, share, guard, known.said)
    photos["cluster"] = photos["content"].map(dict(zip(embeddings["content"], names, strict=True))).fillna("")
    return photos, share


def _by_clusters(
    files: pd.DataFrame,
    embeddings: pd.DataFrame,
    vectors: NDArray[np.float32],
    wanted: str,
    spoken: pd.Series,
) -> tuple[NDArray[np.float64], Contamination, list[str]]:
    """Probability of a photograph by content, the share, and the cluster of each in words."""
    measured = files.drop_duplicates("content").set_index("content").loc[embeddings["content"]]
    texture = textures(measured["entropy"].to_numpy(), measured["flatness"].to_numpy())
    label = embeddings["content"].map(spoken.map({True: 1, False: -1})).fillna(0).to_numpy(int)
    clusters = find_clusters(vectors, texture, label)
    probability = clusters.probability()
    kinds = clusters.photographic
    photo = float(probability.mean()) if len(probability) else 0.0
    # What is most uncertain is the names of clusters: the ends count those whose texture lies near the line either way.
    low, high = (clusters.share(line) for line in (PHOTOGRAPHIC + NEAR, PHOTOGRAPHIC - NEAR))
    one = 1 / max(len(probability), 1)
    low, high = max(0.0, min(low, photo - one)), min(1.0, max(high, photo + one))
    share = Contamination(photo, low, high, 1 - photo, 0.0, bool(kinds.any()), wanted)
    return probability, share, clusters.names()


def _by_head(
    embeddings: pd.DataFrame, vectors: NDArray[np.float32], clip: ClipEncoder | None
) -> NDArray[np.float32]:
    cues = np.array(embeddings["cues"].tolist(), np.float32).reshape(len(embeddings), -1)
    return load_head().evidence(cues) if len(cues) else np.zeros((0, len(KINDS)), np.float32)


def _by_words(
    embeddings: pd.DataFrame, vectors: NDArray[np.float32], clip: ClipEncoder | None
) -> NDArray[np.float32]:
    assert clip is not None  # the stage loads it for this backend
    return words_evidence(vectors, clip) if len(vectors) else np.zeros((0, len(KINDS)), np.float32)


Evidence = Callable[[pd.DataFrame, "NDArray[np.float32]", ClipEncoder | None], "NDArray[np.float32]"]
_EVIDENCE: dict[str, Evidence] = {"embedded": _by_head, "clip": _by_words}


def _taught(embeddings: pd.DataFrame, spoken: pd.Series, examples: Taught | None) -> Taught:
    """The labelled embeddings: of this folder's pictures, and of the examples."""
    mine = embeddings[embeddings["content"].isin(spoken.index)]
    vectors = [np.array(mine["vector"].tolist(), np.float32)] if len(mine) else []
    photo = [spoken.loc[mine["content"]].to_numpy(bool)] if len(mine) else []
    if examples is not None:
        vectors.append(examples.vectors)
        photo.append(examples.photo)
    if not vectors:
        return Taught(np.zeros((0, 1), np.float32), np.zeros(0, bool))
    return Taught(np.concatenate(vectors), np.concatenate(photo))


def _clip(name: str) -> ClipEncoder:
    encoder = load_encoder(name)
    if not isinstance(encoder, ClipEncoder):
        raise UserError(
            f"filter-photos: the backend `clip` cannot read words with the encoder '{name}'.",
            "Give --encoder open_clip:MODEL/PRETRAINED, where PRETRAINED is a tag or the path of a local checkpoint.",
        )
    return encoder


def _known(workspace: Workspace, encoder: str) -> pd.DataFrame:
    origin = workspace.origin("embeddings")
    if origin is None or origin.version != VERSION:
        return EMBEDDINGS.empty()
    made_with = PhotoSettings(
        backend=origin.settings.get("backend", "embedded"), encoder=origin.settings.get("encoder", "")
    )
    return workspace.read("embeddings") if made_with.looks_through() == encoder else EMBEDDINGS.empty()
