"""Run one peer on a folder of pictures: what near_duplicates.py starts in the peer's own environment.

usage: run_peer.py PEER FOLDER THRESHOLD OUT.csv
"""

from __future__ import annotations

import csv
import importlib
import os
import sys
from pathlib import Path


def main() -> None:
    name, folder, threshold, out = sys.argv[1], Path(sys.argv[2]).resolve(), float(sys.argv[3]), sys.argv[4]
    files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    found = importlib.import_module(f"peers.{name}").pairs(str(folder), files, threshold)
    with Path(out).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("a", "b", "distance"))
        for a, b, distance in found:
            names = (Path(os.path.relpath(path, folder)).as_posix() for path in sorted((a, b)))
            writer.writerow((*names, "" if distance is None else f"{distance:.6g}"))


if __name__ == "__main__":  # some peers start processes that read this file again
    main()
