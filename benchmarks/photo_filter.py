#!/usr/bin/env python3
"""The photo filter, its backends and what stood before it, on mixes of drawings and photographs by kind and rate.

usage: photo_filter.py DATA WORKSPACE [--pictures FOLDER] [--seeds N] [--n N]

DATA holds truth.csv with the columns path, kind, is_photo and source. WORKSPACE is one in which `curate filter-photos`
has run on the folder whose paths those are. Of a mix, per cell: AUROC, F1 of what is removed, share of drawings lost, share
unsure, expected calibration error (15 bins); means over the seeds, in brackets the standard deviation of the F1.
Then: in how many of 20 clean folders a kind it says that there are no photographs; drawings looked for among photographs
(`--find illustrations`); and, with the pictures themselves in FOLDER, the cases of photo_cases.py: how many of 100 are on
the right side of one half, 50 at a time in a folder of 1,000 originals at the data's own rate. The rate of pictures is
measured by photo_rate.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from hardware import hardware
from photo_cases import CASES
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score

from curate.encoders import BuiltinEncoder
from curate.images import read_rgb
from curate.photos.head import load_head
from curate.photos.stage import PhotoSettings, find_photos

Judged = tuple[np.ndarray, np.ndarray, bool]
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
CLEAN_FOLDERS = 20


def by_kmeans(part: pd.DataFrame) -> Judged:
    """k-means with k = 2 on the embedding; the smaller cluster is called photographs."""
    label = KMeans(2, n_init=4, random_state=0).fit_predict(np.stack(part["vector"].to_list()))
    smaller = label == np.argmin(np.bincount(label, minlength=2))
    return smaller.astype(float), np.where(smaller, "photo", "drawing"), True


def by_head(part: pd.DataFrame) -> Judged:
    """The head alone, all kinds equally common, threshold one half."""
    evidence = load_head().evidence(np.stack(part["cues"].to_list()))
    found = 1 / (1 + np.exp(np.logaddexp(evidence[:, 1], evidence[:, 2]) - np.log(2) - evidence[:, 0]))
    return found, np.where(found >= 0.5, "photo", "drawing"), True


def filtered(**settings: str) -> Callable[[pd.DataFrame], Judged]:
    """What `curate filter-photos` says with these settings."""

    def judge(part: pd.DataFrame) -> Judged:
        photos, share = find_photos(part, part, PhotoSettings(**settings))
        found = photos.set_index("content").loc[part["content"]]
        return found["photo_score"].to_numpy(float), found["photo_verdict"].to_numpy(), share.present

    return judge


METHODS: dict[str, Callable[[pd.DataFrame], Judged]] = {
    "k-means, k = 2, the smaller": by_kmeans,
    "the head alone": by_head,
    "backend cluster": filtered(backend="cluster"),
    "backend embedded (default)": filtered(),
}


def calibration_error(probability: np.ndarray, photo: np.ndarray) -> float:
    """Expected calibration error over 15 equal bins."""
    bins = np.clip((probability * 15).astype(int), 0, 14)
    return float(
        sum(
            abs(photo[bins == b].mean() - probability[bins == b].mean()) * (bins == b).mean()
            for b in set(bins)
        )
    )


def mix(frame: pd.DataFrame, sources: Sequence[str], rate: float, n: int, seed: int) -> pd.DataFrame:
    """At most `n` pictures of these sources of drawings and photographs at this rate, in the order of their contents."""
    drawings, photos = frame[frame["source"].isin(sources)], frame[frame["is_photo"] == 1]
    n = min(n, int(len(drawings) / (1 - rate)) if rate < 1 else n, int(len(photos) / rate) if rate else n)
    count = round(n * rate)
    chosen = [photos.sample(count, random_state=seed), drawings.sample(n - count, random_state=seed)]
    return pd.concat(chosen).sort_values("content")


def measure(judged: Judged, photo: np.ndarray, wanted: str = "photo") -> tuple[float, ...]:
    """AUROC, F1, lost, unsure, ECE of one mix; `photo` (N,) is the truth."""
    probability, verdict, _ = judged
    truth = photo if wanted == "photo" else ~photo
    removed = verdict == wanted
    return (
        roc_auc_score(photo, probability) if 0 < photo.sum() < len(photo) else np.nan,
        2 * (removed & truth).sum() / max(removed.sum() + truth.sum(), 1),
        removed[~truth].mean() if (~truth).any() else 0.0,
        (verdict == "unsure").mean(),
        calibration_error(probability, photo),
    )


def cell(rows: list[tuple[float, ...]], rate: float) -> str:
    auroc, f1, lost, unsure, error = np.mean(rows, axis=0)
    score = f"{auroc:.4f} / {f1:.3f} ({np.std([row[1] for row in rows]):.3f}), " if rate else ""
    return f"{score}lost {lost:.1%}, unsure {unsure:.1%}, ECE {error:.3f}"


def table(title: str, frame: pd.DataFrame, given: argparse.Namespace) -> None:
    print(f"\n{title}\n\n| method | drawings | " + " | ".join(f"{rate:.0%}" for rate in RATES) + " |")
    print("|---|---|" + "---|" * len(RATES))
    for name, method in METHODS.items():
        for domain, sources in DOMAINS.items():
            cells = []
            for rate in RATES:
                parts = [mix(frame, sources, rate, given.n, seed) for seed in range(given.seeds)]
                rows = [measure(method(part), part["is_photo"].to_numpy() == 1) for part in parts]
                cells.append(cell(rows, rate))
            print(f"| {name} | {domain} | " + " | ".join(cells) + " |", flush=True)


def clean_folders(frame: pd.DataFrame) -> None:
    """In how many clean folders each backend says that there are no photographs."""
    print(f"\nClean folders of 150 drawings, of {CLEAN_FOLDERS} a kind: those said to hold no photographs\n")
    print("| drawings | cluster | embedded |\n|---|---|---|")
    for domain, sources in DOMAINS.items():
        parts = [mix(frame, sources, 0.0, 150, seed) for seed in range(CLEAN_FOLDERS)]
        counts = [
            sum(not filtered(backend=backend)(part)[2] for part in parts)
            for backend in ("cluster", "embedded")
        ]
        print(f"| {domain} | {counts[0]} | {counts[1]} |", flush=True)


def reversed_mixes(frame: pd.DataFrame, given: argparse.Namespace) -> None:
    """Drawings among photographs."""
    print("\n`--find illustrations`: share of drawings among photographs\n")
    print("| drawings | 0% | 2% | 10% | 30% |\n|---|---|---|---|---|")
    for domain, sources in DOMAINS.items():
        cells = []
        for rate in (0.0, 0.02, 0.1, 0.3):
            parts = [mix(frame, sources, 1 - rate, given.n, seed) for seed in range(given.seeds)]
            rows = [
                measure(filtered(find="illustrations")(part), part["is_photo"].to_numpy() == 1, "drawing")
                for part in parts
            ]
            cells.append(cell(rows, rate))
        print(f"| {domain} | " + " | ".join(cells) + " |", flush=True)


def cases(frame: pd.DataFrame, folder: Path, count: int = 100) -> None:
    """How many of each of the cases of photo_cases.py are on the right side, 50 at a time in a folder of originals."""
    encoder, head = BuiltinEncoder(), load_head()
    print("\n| case | on the right side | sure of it |\n|---|---|---|")
    for kind, edit, is_photo in CASES:
        rng = np.random.default_rng(1)
        pool = frame[frame["is_photo"] == 1] if kind == "photo" else frame[frame["source"] == kind]
        chosen = pool.sample(count, random_state=1)
        pictures = [
            np.ascontiguousarray(edit(read_rgb(folder / path, at_least=200).copy(), rng))
            for path in chosen["path"]
        ]
        vectors, moments = encoder.look(pictures)
        edited = chosen.assign(
            vector=list(vectors), cues=list(head.cues(moments)), content=[f"case {i}" for i in range(count)]
        )
        right, sure = [], []
        for half in (edited[: count // 2], edited[count // 2 :]):
            rest = frame[~frame["path"].isin(half["path"])].sample(1000, random_state=len(right))
            part = pd.concat([rest, half]).sample(frac=1, random_state=0)
            probability, verdict, _ = filtered()(part)
            mine = part["content"].str.startswith("case").to_numpy()
            right += list((probability[mine] >= 0.5) == is_photo)
            sure += list(verdict[mine] == ("photo" if is_photo else "drawing"))
        print(
            f"| {kind} {edit.__name__.replace('_', ' ')} | {np.mean(right):.0%} | {np.mean(sure):.0%} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--pictures", type=Path, help="the folder itself, for the cases")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n", type=int, default=400)
    given = parser.parse_args()
    truth = pd.read_csv(given.data / "truth.csv").query("kind == 'original'")
    files = pd.read_parquet(given.workspace / "files.parquet")
    frame = truth[["path", "is_photo", "source"]].merge(files, on="path").drop_duplicates("content")
    frame = frame.merge(pd.read_parquet(given.workspace / "embeddings.parquet"), on="content")
    print(f"{hardware()}; n = {given.seeds} seeds, {given.n} pictures a mix")
    table("AUROC / F1 (spread), and what else", frame, given)
    clean_folders(frame)
    reversed_mixes(frame, given)
    if given.pictures:
        cases(frame, given.pictures)


if __name__ == "__main__":
    main()
