"""How many wrong labels `classify label-errors` finds: known mistakes planted in a copy of a set, and looked for.

usage: label_noise.py DATA [--share 0.05] [--seeds 3] [--kinds any confusable] [--with embeddings] [--minutes M] [--folds 5]
       [--set KEY=VALUE ...] [--out FOLDER]

DATA holds class folders, best without known label errors: what is wrong in it counts as a false alarm. For each kind and
seed a copy is made by links in which a share of the pictures lies under another class: `any`, drawn from all others, or
`confusable`, the one that an out-of-fold classifier of DATA takes the class for most often. Prints recall and precision at the
suggested cut and of all suspects, the estimated share of wrong labels, and how many of the first P suspects are planted, P
being their number; where `cleanlab` is installed, the same of its `find_label_issues` on the same probabilities. Mean and
standard deviation over the seeds. DATA is embedded once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from hardware import hardware

from classify.label_errors import find_label_errors
from classify.prediction import PROBABILITY, probability_columns
from classify.settings import read_settings
from classify.suspects import LabelErrors
from curate.workspace import Workspace


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=("any", "confusable"), default=["any", "confusable"])
    parser.add_argument("--with", dest="method", default="embeddings")
    parser.add_argument(
        "--minutes", type=float, help="of all folds of one run together, with --with training"
    )
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs/label_noise"))
    options = parser.parse_args()
    print(hardware(), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    workspace = options.out / "workspace"
    command = [
        sys.executable,
        "-m",
        "curate",
        "filter-photos",
        str(options.data),
        "--workspace",
        str(workspace),
    ]
    subprocess.run([*command, "--quiet"], check=True)
    clean = copied(options.data, options.out / "clean", {}, workspace)
    before = find_label_errors(clean, options.out / "clean.found", folds=options.folds)
    print(f"as it is: {' '.join(before.sentences)}", flush=True)
    nearest = confusable(pd.read_parquet(before.out / "out_of_fold.parquet"))
    for kind in options.kinds:
        rows = [one(options, kind, seed, nearest, workspace) for seed in range(options.seeds)]
        for name in rows[0]:
            values = [row[name] for row in rows]
            spread = statistics.stdev(values) if len(values) > 1 else float("nan")
            print(
                f"{kind:10} {name:36} n = {len(values)}   mean {statistics.mean(values):.3f}   sd {spread:.3f}"
            )


def one(
    options: argparse.Namespace, kind: str, seed: int, nearest: dict[str, str], workspace: Path
) -> dict[str, float]:
    """Plant, look, and score; prints a line."""
    moved = plant(options.data, options.share, kind, seed, nearest)
    folder = options.out / f"{kind}-{seed}"
    noisy = copied(options.data, folder / "pictures", moved, workspace)
    found = find_label_errors(
        noisy,
        folder / options.method,
        method=options.method,
        folds=options.folds,
        minutes=options.minutes,
        settings=read_settings(overrides=options.set),
    )
    figures = scores(found, set(moved.values()))
    print(
        f"{kind} seed {seed}: " + ", ".join(f"{name} {value:.3f}" for name, value in figures.items()),
        flush=True,
    )
    return figures


def plant(data: Path, share: float, kind: str, seed: int, nearest: dict[str, str]) -> dict[str, str]:
    """Path below DATA -> path under another class, for a share of the pictures."""
    files = sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())
    classes = sorted({Path(file).parts[0] for file in files})
    random = np.random.default_rng(seed)
    moved = {}
    for index in random.choice(len(files), round(share * len(files)), replace=False):
        own, _, rest = files[index].partition(os.sep)
        others = [name for name in classes if name != own]
        other = nearest[own] if kind == "confusable" else others[random.integers(len(others))]
        moved[files[index]] = f"{other}{os.sep}planted-{own}-{rest.replace(os.sep, '-')}"
    return moved


def copied(data: Path, place: Path, moved: dict[str, str], workspace: Path) -> Path:
    """The tree of DATA in links, some pictures under another class, with the embeddings beside it."""
    if not place.exists():
        for path in sorted(data.rglob("*")):
            if path.is_file():
                name = str(path.relative_to(data))
                target = place / moved.get(name, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(path.resolve())
    shutil.copy(workspace / "embeddings.parquet", Workspace.open(place).path)
    return place


def confusable(beliefs: pd.DataFrame) -> dict[str, str]:
    """Each class with the other one that its pictures are taken for most often."""
    columns = probability_columns(beliefs)
    guess = beliefs[columns].idxmax(axis=1).str.removeprefix(PROBABILITY)
    table = pd.crosstab(beliefs["label"], guess)
    return {label: row.drop(label, errors="ignore").idxmax() for label, row in table.iterrows()}


def scores(found: LabelErrors, planted: set[str]) -> dict[str, float]:
    """Recall and precision of what was found; and of cleanlab, where it is installed."""
    paths = found.suspects["path"].tolist()
    estimate = found.report["estimate"]
    figures = {"agreement": found.report["agreement"], "estimated share": estimate["share"]}
    figures |= counts("at the cut", paths[: found.cut], planted) | counts("all suspects", paths, planted)
    figures["of the first P, planted"] = len(planted & set(paths[: len(planted)])) / len(planted)
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        return figures
    beliefs = pd.read_parquet(found.out / "out_of_fold.parquet")
    beliefs = beliefs[beliefs["judged"]].reset_index(drop=True)
    columns = probability_columns(beliefs)
    labels = (
        beliefs["label"].map({name.removeprefix(PROBABILITY): i for i, name in enumerate(columns)}).to_numpy()
    )
    for rule in ("prune_by_noise_rate", "both"):
        order = find_label_issues(
            labels,
            beliefs[columns].to_numpy(np.float64),
            filter_by=rule,
            return_indices_ranked_by="normalized_margin",
            n_jobs=1,
        )
        theirs = beliefs["path"].to_numpy()[order].tolist()
        figures |= counts(f"cleanlab {rule}", theirs, planted)
        figures[f"cleanlab {rule} first P"] = len(planted & set(theirs[: len(planted)])) / len(planted)
    return figures


def counts(name: str, paths: list[str], planted: set[str]) -> dict[str, float]:
    hits = len(planted & set(paths))
    return {
        f"{name}, number": len(paths),
        f"{name}, precision": hits / len(paths) if paths else float("nan"),
        f"{name}, recall": hits / len(planted),
    }


if __name__ == "__main__":
    main()
