"""Which file of a group is kept: how often the one that the others were made from?

usage: keepers.py WORKSPACE DATA

WORKSPACE is that of a finished `curate dedup` of the pictures of DATA (see truth_of_duplicates.py). Counted are groups that
hold an edited copy: in how many of them the planted original, or a file of the same bytes, is the keeper; and of which edit
the keeper is in the others.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import pandas as pd
from hardware import hardware
from truth_of_duplicates import Truth


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    known = Truth.read(options.data).files
    table = pd.read_parquet(options.workspace / "duplicates.parquet")
    table = table[table["path"].isin(known)]
    originals = set(
        table.loc[[known[path].kind == "original" for path in table["path"]], "content"]
    )  # copies of their bytes are as good
    edited = table.loc[table["tier"] == "near", "group"].unique()
    keepers = table[(table["path"] == table["keeper"]) & table["group"].isin(edited)]
    right = keepers["content"].isin(originals)
    print(hardware())
    print(f"{right.sum()} of {len(keepers)} groups of edited copies keep the original ({right.mean():.1%})")
    others = Counter(known[path].kind for path in keepers.loc[~right, "path"])
    for kind, count in others.most_common():
        print(f"  {kind:24s} {count}")


if __name__ == "__main__":
    main()
