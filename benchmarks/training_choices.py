#!/usr/bin/env python3
"""Each default of training against what else it could be: one choice changed at a time, several seeds, one `classify sweep`.

usage: training_choices.py DATA [--out FOLDER] [--test TEST] [--pictures N] [--seeds N] [--precision fp32|bf16] [--minutes M]
       [--jobs N]

DATA holds class folders, or is a curate workspace: `curate split DATA --test 0 --val 0.3` gives a validation part that is large
enough to tell settings apart. The choices are judged on it; TEST is for information. Pictures seen decide when a cell
ends, so a busy machine changes nothing but the time. The same command goes on after a kill.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hardware import hardware

CHOICES: dict[str, list[Any]] = {
    "data.balance": ["none", "loss", "logits"],
    "optimizer.focal": [2.0],
    "optimizer.name": ["adamw", "sgd"],
    "training.first_size": [0],
    "optimizer.ema": [0.0],
    "optimizer.label_smoothing": [0.0],
    "augmentation.mixup": [0.0],
    "data.fit": ["stretch"],
}
"""What is tried beside each default (`classify settings` prints those)."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/training_choices"))
    parser.add_argument("--test", type=Path)
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument(
        "--minutes", type=float, default=0, help="no cell begins later than that; 0: no limit"
    )
    parser.add_argument("--jobs", type=int, default=1, help="cells at once, each with its share of the cores")
    given = parser.parse_args()
    lines = [f"train = {json.dumps(str(given.data.resolve()))}", 'way = "one-at-a-time"']
    if given.test:
        lines.append(f"test = {json.dumps(str(given.test.resolve()))}")
    lines += [
        f"seeds = {list(range(given.seeds))}",
        f"minutes = {given.minutes}",
        "[base]",
        "training.minutes = 0",
    ]
    lines += [
        f"training.pictures = {given.pictures}",
        f'training.precision = "{given.precision}"',
        "[factors]",
    ]
    lines += [f"{key} = {json.dumps(values)}" for key, values in CHOICES.items()]
    given.out.mkdir(parents=True, exist_ok=True)
    plan = given.out / "plan.toml"
    plan.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{hardware()}; {given.pictures:,} pictures a cell, {given.seeds} seeds\n", flush=True)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "classify",
            "sweep",
            plan,
            "--out",
            given.out / "sweep",
            "--jobs",
            str(given.jobs),
        ],
        check=False,
    )
    results = given.out / "sweep" / "results.md"
    if results.exists():
        print(results.read_text(encoding="utf-8"))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
