"""What curation is worth: the same training on the raw folder and on the curated one, judged on a clean test folder.

usage: curation_effect.py TRAIN TEST [--minutes 15] [--seeds 3] [--out FOLDER] [--set KEY=VALUE ...]

Runs `curate run TRAIN` in a workspace of its own, then for each seed `classify train` on the workspace and on the raw
folder (`data.raw=true`), and `classify evaluate TEST`. Prints macro-F1 of each, mean and spread. Runs that are already
in FOLDER are not trained again, so an interrupted benchmark goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from hardware import hardware


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/curation_effect"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    print(hardware(), flush=True)
    workspace = options.out / "workspace"
    options.out.mkdir(parents=True, exist_ok=True)
    run("curate", "run", options.train, "--workspace", workspace, "--quiet")
    scores: dict[str, list[float]] = {"curated": [], "raw": []}
    for seed in range(options.seeds):
        for kind in scores:
            place = options.out / f"{kind}-{seed}"
            scores[kind].append(score(options, place, workspace, kind == "raw", seed))
            print(f"{kind:8} seed {seed}   macro-F1 {scores[kind][-1]:.4f}", flush=True)
    for kind, values in scores.items():
        spread = statistics.stdev(values) if len(values) > 1 else float("nan")
        print(
            f"{kind:8} n = {len(values)}   mean {statistics.mean(values):.4f}   standard deviation {spread:.4f}"
        )


def score(options: argparse.Namespace, place: Path, workspace: Path, raw: bool, seed: int) -> float:
    """Macro-F1 on TEST of a run, trained where it has not been."""
    metrics = place / "evaluation" / "metrics.json"
    if not metrics.exists():
        chosen = {"training.minutes": options.minutes, "training.seed": seed, "data.raw": str(raw).lower()}
        sets = [f"{key}={value}" for key, value in chosen.items()] + options.set
        again = ["--resume"] if (place / "checkpoint.safetensors").exists() else []
        start = time.perf_counter()
        source = options.train if raw else workspace
        run(
            "classify",
            "train",
            source,
            "--out",
            place,
            *again,
            *(word for s in sets for word in ("--set", s)),
        )
        print(f"trained in {(time.perf_counter() - start) / 60:.1f} min", flush=True)
        run("classify", "evaluate", options.test, place / "best.safetensors", "--quiet")
    return float(json.loads(metrics.read_text())["macro_f1"])


def run(program: str, *arguments: object) -> None:
    subprocess.run([sys.executable, "-m", program, *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
