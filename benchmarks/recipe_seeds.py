#!/usr/bin/env python3
"""What a recipe gives: several seeds, each trained and judged on a test set; mean and standard deviation.

usage: recipe_seeds.py RECIPE DATA TEST [--out FOLDER] [--seeds N ...] [--set SECTION.KEY=VALUE ...]

RECIPE is a settings file, such as recipes/mnist-lenet5.toml. Each seed is a run of its own, FOLDER/seedN, by the recipe's two
commands; where runs are there, finished or not, the same command goes on with them, so seeds may also come one at a time.
Time counts in most recipes: leave the machine alone meanwhile, or limit epochs or pictures with --set.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from hardware import hardware


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", dest="changes", action="append", default=[])
    given = parser.parse_args()
    out = given.out or Path("runs") / f"recipe-{given.recipe.stem}"
    print(f"{hardware()}; {given.recipe.name} {' '.join(given.changes)}\n", flush=True)
    rows = [_measured(given, out / f"seed{seed}", seed) for seed in given.seeds]
    print("| seed | accuracy | macro-F1 | pictures seen | epochs | minutes | computed in |")
    print("|---|---|---|---|---|---|---|")
    for seed, row in zip(given.seeds, rows, strict=True):
        print(
            f"| {seed} | {row['accuracy']:.4f} | {row['macro_f1']:.4f} | {row['pictures']:,} | {row['epochs']} | "
            f"{row['minutes']:.1f} | {row['computed']} |"
        )
    for name in ("accuracy", "macro_f1"):
        values = [row[name] for row in rows]
        spread = f"{statistics.stdev(values):.4f}" if len(values) > 1 else "none"
        print(f"\n{name}: mean {statistics.mean(values):.4f}, standard deviation {spread}, n = {len(values)}")


def _measured(given: argparse.Namespace, run: Path, seed: int) -> dict[str, Any]:
    """Train and judge what is not done yet, and read what came of it."""
    if not (run / "evaluation" / "metrics.json").exists():
        changes = [f"training.seed={seed}", *given.changes]
        words = [given.data, "--settings", given.recipe, "--out", run]
        words += [word for change in changes for word in ("--set", change)]
        _classify("train", *words, *(["--resume"] if (run / "checkpoint.safetensors").exists() else []))
        _classify("evaluate", given.test, run / "best.safetensors")
    metrics = json.loads((run / "evaluation" / "metrics.json").read_text(encoding="utf-8"))
    record = json.loads((run / "provenance.json").read_text(encoding="utf-8"))
    if record["seed"] != seed:
        sys.exit(f"{run}: is a run of seed {record['seed']}.")
    with (run / "history.csv").open(encoding="utf-8") as file:
        history = list(csv.DictReader(file))
    trained = [
        (float(row["seconds"]) - float(row["evaluation_seconds"]), float(row["rate"])) for row in history
    ]
    computed = record["computed_on"]
    return {
        "accuracy": metrics["accuracy"],
        "macro_f1": metrics["macro_f1"],
        "pictures": round(sum(seconds * rate for seconds, rate in trained)),
        "epochs": len(history),
        "minutes": sum(float(row["seconds"]) for row in history) / 60,
        "computed": f"{record['arithmetic']}, threads: {computed['threads']}",
    }


def _classify(*words: object) -> None:
    """Run a command; what it prints goes to standard error, so that the table stands alone."""
    subprocess.run([sys.executable, "-m", "classify", *map(str, words)], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
