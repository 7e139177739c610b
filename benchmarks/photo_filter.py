#!/usr/bin/env python3
"""The photo filter and the prototypes before it, on mixes of drawings and photographs by kind and rate.

usage: photo_filter.py DATA EMBEDDINGS [--seeds N] [--n N]

DATA holds truth.csv with the columns path, kind, is_photo and source. EMBEDDINGS is a workspace in which
`curate filter-photos` has run on the folder whose paths those are. Nothing is read but tables, so it takes a minute.
Per mix: AUROC, F1 of what is removed, share of drawings lost, share unsure, expected calibration error (15 bins).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score

from curate.photos.adaptation import adapt
from curate.photos.calibration import recalibrate
from curate.photos.contamination import estimate, posteriors
from curate.photos.decision import verdicts
from curate.photos.head import load_head
from curate.photos.stage import PhotoSettings

Judged = tuple[np.ndarray, np.ndarray]
RATES = (0.0, 0.02, 0.1, 0.3, 0.6)
EMOJI = ("openmoji", "twemoji", "noto", "fluent_flat")
DOMAINS = {
    "cartoon": ("cartoon",),
    "sketch": ("sketch",),
    "emoji": EMOJI,
    "those three": ("cartoon", "sketch", *EMOJI),
    "painting": ("art_painting",),
    "all": ("cartoon", "sketch", "art_painting", *EMOJI),
}


def by_clusters(vectors: np.ndarray, evidence: np.ndarray) -> Judged:
    """k-means with k = 2 on the embedding; the smaller cluster is called photographs."""
    label = KMeans(2, n_init=4, random_state=0).fit_predict(vectors)
    smaller = label == np.argmin(np.bincount(label, minlength=2))
    return smaller.astype(float), np.where(smaller, "photo", "drawing")


def by_head(vectors: np.ndarray, evidence: np.ndarray) -> Judged:
    """The head alone, all kinds equally common, threshold one half."""
    found = 1 / (1 + np.exp(np.logaddexp(evidence[:, 1], evidence[:, 2]) - np.log(2) - evidence[:, 0]))
    return found, np.where(found >= 0.5, "photo", "drawing")


def by_share(vectors: np.ndarray, evidence: np.ndarray) -> Judged:
    """The head with the share estimated first."""
    share = estimate(evidence)
    found = posteriors(evidence, share)
    return found, verdicts(found, share, PhotoSettings().min_confidence)


def by_teaching(vectors: np.ndarray, evidence: np.ndarray) -> Judged:
    """The share estimated first, then learning inside the folder."""
    share = estimate(evidence)
    found = posteriors(evidence, share)
    if share.present:
        found = adapt(vectors, found)
    return found, verdicts(found, share, PhotoSettings().min_confidence)


def as_shipped(vectors: np.ndarray, evidence: np.ndarray) -> Judged:
    """What `curate filter-photos` does: share, the folder's own scale, learning inside the folder."""
    share = estimate(evidence)
    found = posteriors(evidence, share)
    if share.present:
        found = adapt(vectors, recalibrate(evidence, share, found))
    return found, verdicts(found, share, PhotoSettings().min_confidence)


METHODS: tuple[Callable[[np.ndarray, np.ndarray], Judged], ...] = (
    by_clusters,
    by_head,
    by_share,
    by_teaching,
    as_shipped,
)


def calibration_error(probability: np.ndarray, photo: np.ndarray) -> float:
    """Expected calibration error over 15 equal bins."""
    bins = np.clip((probability * 15).astype(int), 0, 14)
    return float(
        sum(
            abs(photo[bins == b].mean() - probability[bins == b].mean()) * (bins == b).mean()
            for b in set(bins)
        )
    )


def mix(frame: pd.DataFrame, sources: tuple[str, ...], rate: float, n: int, seed: int) -> pd.DataFrame:
    """At most `n` pictures of these sources of drawings and photographs at this rate, in the order of their contents."""
    drawings, photos = frame[frame["source"].isin(sources)], frame[frame["is_photo"] == 1]
    n = min(n, int(len(drawings) / (1 - rate)), int(len(photos) / rate) if rate else n)
    count = round(n * rate)
    chosen = [photos.sample(count, random_state=seed), drawings.sample(n - count, random_state=seed)]
    return pd.concat(chosen).sort_values("content")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("embeddings", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n", type=int, default=400)
    given = parser.parse_args()
    truth = pd.read_csv(given.data / "truth.csv").query("kind == 'original'")
    photos = pd.read_parquet(given.embeddings / "photos.parquet")[["path", "content"]]
    frame = truth.merge(photos, on="path").drop_duplicates("content")
    frame = frame.merge(pd.read_parquet(given.embeddings / "embeddings.parquet"), on="content")
    head = load_head()
    print("| method | domain | " + " | ".join(f"{rate:.0%}" for rate in RATES) + " |")
    print("|---|---|" + "---|" * len(RATES))
    for method in METHODS:
        for domain, sources in DOMAINS.items():
            cells = []
            for rate in RATES:
                rows = []
                for seed in range(given.seeds):
                    part = mix(frame, sources, rate, given.n, seed)
                    photo = part["is_photo"].to_numpy() == 1
                    evidence = head.evidence(np.stack(part["cues"].to_list()))
                    probability, verdict = method(np.stack(part["vector"].to_list()), evidence)
                    removed = verdict == "photo"
                    rows.append(
                        (
                            roc_auc_score(photo, probability) if photo.any() else np.nan,
                            2 * (removed & photo).sum() / max(removed.sum() + photo.sum(), 1),
                            removed[~photo].mean(),
                            (verdict == "unsure").mean(),
                            calibration_error(probability, photo),
                        )
                    )
                auroc, f1, lost, unsure, error = np.mean(rows, axis=0)
                score = f"{auroc:.4f} F1 {f1:.3f}, " if rate else ""
                cells.append(f"{score}lost {lost:.1%}, unsure {unsure:.1%}, ECE {error:.3f}")
            print(f"| {method.__name__} | {domain} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
