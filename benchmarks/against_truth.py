"""How much of what was planted in a folder `curate run` finds.

usage: against_truth.py DATA [--workers N]

DATA holds `train/` and `truth.csv` with the columns path, label, true_label, kind (original, exact, near, wrong_class,
unreadable), is_photo, origin, edit - as `curate demo DATA` makes them. Runs `curate run` in a workspace of its own and
prints for each thing planted how much was found, and what was reported beside it.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import pandas as pd
from hardware import hardware
from sklearn.metrics import roc_auc_score

from curate.duplicates.groups import all_pairs
from curate.pipeline import STAGES, bring_up_to_date, session


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    truth = pd.read_csv(options.data / "truth.csv", keep_default_na=False).set_index("path")
    print(hardware())
    with (
        tempfile.TemporaryDirectory() as folder,
        session(options.data / "train", Path(folder) / "workspace") as workspace,
    ):
        start, used = time.perf_counter(), cpu_seconds()
        bring_up_to_date(workspace, list(STAGES), workers=options.workers)
        wall, cpu = time.perf_counter() - start, cpu_seconds() - used
        tables = {name: workspace.read(name) for name in ("files", "duplicates", "pairs", "photos")}
    files = tables["files"]
    print(f"{len(files)} files; all stages: {wall:.0f} s wall, {cpu:.0f} s CPU, n = 1\n")
    rows = [
        *unreadable(files, truth),
        *duplicates(tables["duplicates"], tables["pairs"], truth),
        *photos(tables["photos"], truth),
    ]
    print(pd.DataFrame(rows, columns=["what", "planted", "found", "reported beside"]).to_string(index=False))


def cpu_seconds() -> float:
    """User and system seconds of this process and of its children that have ended."""
    return sum(
        r.ru_utime + r.ru_stime
        for r in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def unreadable(files: pd.DataFrame, truth: pd.DataFrame) -> list[tuple[str, int, str, str]]:
    planted = set(truth.index[truth.kind == "unreadable"])
    said = set(files.path[files.status != "ok"])
    return [
        ("unreadable files", len(planted), share(len(planted & said), len(planted)), str(len(said - planted)))
    ]


def duplicates(
    groups: pd.DataFrame, pairs: pd.DataFrame, truth: pd.DataFrame
) -> list[tuple[str, int, str, str]]:
    found = all_pairs(groups, pairs)
    said = {frozenset(pair) for pair in zip(found.a, found.b, strict=True)}
    conflict = set(groups.path[groups.conflict])
    rows = []
    for kind in ("exact", "near", "wrong_class"):
        planted = truth[truth.kind == kind]
        hits = sum(frozenset((path, origin)) in said for path, origin in planted.origin.items())
        rows.append(
            (
                f"{kind.replace('_', '-')} copies, paired with their original",
                len(planted),
                share(hits, len(planted)),
                "",
            )
        )
    planted = truth.index[truth.kind == "wrong_class"]
    rows.append(
        (
            "wrong-class copies, reported as conflicts",
            len(planted),
            share(sum(p in conflict for p in planted), len(planted)),
            "",
        )
    )
    origin = truth.origin.where(truth.origin != "", truth.index.to_series())
    variant = truth.variant_group if "variant_group" in truth else pd.Series("", truth.index)
    known = [pair for pair in map(tuple, said) if set(pair) <= set(truth.index[truth.kind != "unreadable"])]
    wrong = [
        (a, b) for a, b in known if origin[a] != origin[b] and not (variant[a] and variant[a] == variant[b])
    ]
    rows.append(
        (
            "pairs reported, all tiers",
            len(known),
            f"precision {1 - len(wrong) / max(len(known), 1):.4f}",
            f"{len(wrong)} wrong",
        )
    )
    return rows


def photos(photos: pd.DataFrame, truth: pd.DataFrame) -> list[tuple[str, int, str, str]]:
    known = photos[photos.path.isin(truth.index)]
    is_photo = truth.is_photo.loc[known.path].astype(int).to_numpy()
    said = (known.photo_verdict == "photo").to_numpy()
    unsure = float((known.photo_verdict == "unsure").mean())
    lost = int((said & (is_photo == 0)).sum())
    auroc = roc_auc_score(is_photo, known.photo_score) if 0 < is_photo.sum() < len(is_photo) else float("nan")
    return [
        (
            "photographs",
            int(is_photo.sum()),
            share(int((said & (is_photo == 1)).sum()), int(is_photo.sum())),
            f"{lost} drawings",
        ),
        ("photo score", len(known), f"AUROC {auroc:.4f}", f"{unsure:.1%} unsure"),
    ]


def share(part: int, whole: int) -> str:
    return f"{part} ({part / max(whole, 1):.1%})"


if __name__ == "__main__":
    main()
