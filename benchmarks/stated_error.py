"""Does the stated error hold: on random halves of a set, does the true precision lie in the printed interval?

usage: stated_error.py WORKSPACE TRUTH [--halves 20] [--threshold 0.87]

WORKSPACE is that of a finished `curate dedup`; TRUTH a CSV file with path (or file) and origin (or group): files with the
same one show the same picture; where it has variant_group, two files that share one count neither way. Each half draws
half of the pictures and looks at the judged pairs between them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from hardware import hardware

from curate.duplicates.error import precision


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("truth", type=Path)
    parser.add_argument("--halves", type=int, default=20)
    parser.add_argument("--threshold", type=float, default=0.87)
    options = parser.parse_args()
    print(hardware())
    judged = known_pairs(options.workspace, options.truth)
    print(row("whole", judged, options.threshold)[0])
    contents = np.union1d(judged["content_a"], judged["content_b"])
    rng = np.random.default_rng(0)
    held, lows = 0, []
    for number in range(options.halves):
        half = set(rng.choice(contents, len(contents) // 2, replace=False))
        part = judged[judged["content_a"].isin(half) & judged["content_b"].isin(half)]
        text, inside, low = row(f"half {number}", part, options.threshold)
        print(text)
        held += inside
        lows.append(low)
    print(
        f"the truth lies in {held} of {options.halves} intervals; their lower ends: mean {np.mean(lows):.4f}, "
    )
    print(f"standard deviation {np.std(lows, ddof=1):.4f}")


def known_pairs(workspace: Path, truth: Path) -> pd.DataFrame:
    """The table `judged` with the column `true`: 1, 0, or missing where a pair counts neither way."""
    known = pd.read_csv(truth, dtype=str).fillna("")
    known = known.rename(columns={"file": "path", "group": "origin"})
    files = pd.read_parquet(workspace / "files.parquet").merge(known, on="path")
    first = files[files["status"] == "ok"].drop_duplicates("content").set_index("content")
    judged = pd.read_parquet(workspace / "judged.parquet")
    a, b = (first.reindex(judged[name]) for name in ("content_a", "content_b"))
    same = a["origin"].to_numpy() == b["origin"].to_numpy()
    judged["true"] = np.where(same, 1.0, 0.0)
    if "variant_group" in known:
        variants = (a["variant_group"].to_numpy() == b["variant_group"].to_numpy()) & (
            a["variant_group"] != ""
        ).to_numpy()
        judged.loc[variants & ~same, "true"] = np.nan
    return judged


def row(name: str, judged: pd.DataFrame, threshold: float) -> tuple[str, bool, float]:
    """A line to print, whether the truth lies in the interval, and the interval's lower end."""
    stated = precision(judged["score"].to_numpy(), threshold)
    reported = judged[(judged["score"] >= np.float32(threshold)) & judged["true"].notna()]
    true = float(reported["true"].mean()) if len(reported) else 1.0
    inside = stated.low <= true <= stated.high
    return (
        f"{name:8} true {true:.4f}   stated {stated}   {'inside' if inside else 'OUTSIDE'}",
        inside,
        stated.low,
    )


if __name__ == "__main__":
    main()
