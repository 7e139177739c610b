"""What curation is worth: the same training on the raw folder and on the curated one, judged on a clean test folder.

usage: curation_effect.py TRAIN TEST [--minutes 15] [--pictures N] [--seeds 3] [--out FOLDER] [--set KEY=VALUE ...]

Runs `curate run TRAIN` in a workspace of its own, then for each seed `classify train` on the workspace and on the raw
folder (`data.raw=true`), and `classify evaluate TEST`. Prints macro-F1 of each, mean and spread. Runs that are already
in FOLDER are not trained again, so an interrupted benchmark goes on where it stopped.

The budget is the same for both: minutes, or with --pictures so many pictures seen, in whole epochs, whatever the clock
says. The second is for machines that are shared: count what yours trains in the minutes you mean, and ask for that.
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
    parser.add_argument("--pictures", type=int, help="a budget of pictures seen instead of minutes")
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
        source = options.train if raw else workspace
        common = {"training.seed": seed, "data.raw": str(raw).lower()}
        start = time.perf_counter()
        if (place / "checkpoint.safetensors").exists():
            run("classify", "train", source, "--out", place, "--resume")
        elif options.pictures:
            chosen = common | {"training.minutes": 0, "training.precision": "bf16"}
            one = train(
                source, place.with_name(f"{place.name}-probe"), chosen | {"training.epochs": 1}, options.set
            )
            epochs = round(options.pictures / one["pictures"])
            train(source, place, chosen | {"training.epochs": epochs}, options.set)
        else:
            train(source, place, common | {"training.minutes": options.minutes}, options.set)
        print(f"trained in {(time.perf_counter() - start) / 60:.1f} min", flush=True)
        run("classify", "evaluate", options.test, place / "best.safetensors", "--quiet")
    return float(json.loads(metrics.read_text())["macro_f1"])


def train(source: Path, out: Path, chosen: dict[str, object], more: list[str]) -> dict[str, int]:
    """`classify train` and what it reports; what the caller sets by hand counts last."""
    sets = [f"{key}={value}" for key, value in chosen.items()] + more
    words = [str(source), "--out", str(out), *(word for text in sets for word in ("--set", text))]
    done = subprocess.run(
        [sys.executable, "-m", "classify", "train", "--json", *words], check=True, stdout=subprocess.PIPE
    )
    return dict(json.loads(done.stdout))


def run(program: str, *arguments: object) -> None:
    subprocess.run([sys.executable, "-m", program, *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
