"""Near duplicates: our finder and its peers, side by side on the same pictures.

    python benchmarks/near_duplicates.py DATA                                 every method, one pass
    python benchmarks/near_duplicates.py DATA --methods ours,pdq8 --repeat 5  these two, with mean and spread of the cost

DATA holds truth.csv beside images/ or train/ (see truth_of_duplicates.py); `curate demo DATA` makes such a folder.
Each peer of peers/ runs in an environment of its own, made with the interpreter that runs this and kept under OUT/envs;
pip fetches it, which needs a network. Linux and macOS.

Each peer stands in the table twice: at its own default threshold, and at the threshold with the best F1 over pairs on
this very data, chosen after the fact, in the peer's favour. We stand there at our default only.

The cost is that of the whole program at its default, from its start to its list of pairs, files in the system's cache:
CPU seconds (user + system) of all its processes, wall seconds, and the largest sum of the resident sets of its
processes, pages that they share counted for each. A tool that cannot be installed or stops is a row with the reason; one
that stops at an unreadable file gets a second try without those files.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

from hardware import hardware
from peers import ALL
from program_cost import Cost, ProgramError, last_line, run
from truth_of_duplicates import Pair, Score, Truth

OURS = {"ours": (), "ours-fast": ("--fast",)}
KEPT_TIERS = ("exact", "pixel", "near")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """One method at one threshold. Without a score: the note says why."""

    method: str
    version: str
    at: str
    threshold: str = ""
    score: Score | None = None
    costs: Sequence[Cost] = ()
    note: str = ""


@dataclass
class Bench:
    """Where things lie, and how often the costs are measured."""

    truth: Truth
    out: Path
    repeat: int
    timeout: float
    readable: Path | None = field(default=None)

    def ours(self, method: str) -> list[Row]:
        """`curate dedup` at its defaults, in a new workspace each pass."""
        row = Row(method, f"curate {version('curate-classify')}", "default")
        passes = []
        for _ in range(self.repeat):
            with tempfile.TemporaryDirectory(dir=self.out) as place:
                result = Path(place) / "pairs.csv"
                command = [sys.executable, "-m", "curate", "dedup", str(self.truth.folder)]
                command += ["--workspace", str(Path(place) / "workspace"), "--csv", str(result), "--quiet"]
                cost = run([*command, *OURS[method]], Path(place), self.timeout)
                passes.append((read_pairs(result, self.truth), cost))
        return [self.summed_up(row, passes)]

    def peer(self, method: str) -> list[Row]:
        """A peer at its default, as often as asked, then over its thresholds once."""
        peer = importlib.import_module(f"peers.{method}")
        python = environment(peer.REQUIREMENTS, self.out / "envs")
        default = Row(method, peer.REQUIREMENTS[0], "default", f"{peer.DEFAULT:g} {peer.MEASURE}")
        folder = self.truth.folder
        try:
            first = self.run_peer(python, method, folder, peer.DEFAULT)
        except ProgramError as error:
            if not self.truth.unreadable:
                raise
            folder = self.without_unreadable()
            first = self.run_peer(python, method, folder, peer.DEFAULT)
            default = replace(default, note=f"run without the unreadable files, at which it stops: {error}")
        passes = [
            first,
            *(self.run_peer(python, method, folder, peer.DEFAULT) for _ in range(1, self.repeat)),
        ]
        row = self.summed_up(default, passes)
        best = replace(default, at="best", note="")
        try:
            tried = [(peer.DEFAULT, row.score), *self.sweep(python, method, peer.SWEEP, folder)]
        except ProgramError as error:
            return [row, replace(best, threshold="", note=f"in search of the best threshold: {error}")]
        threshold, score = max(tried, key=lambda one: one[1].f1)
        return [row, replace(best, threshold=f"{threshold:.4g} {peer.MEASURE}", score=score)]

    def sweep(
        self, python: Path, method: str, thresholds: Sequence[float], folder: Path
    ) -> Iterator[tuple[float, Score]]:
        """Runs at these thresholds: each, or the best below it where the distances are known, with the score there."""
        for threshold in thresholds:
            pairs = self.run_peer(python, method, folder, threshold)[0]
            if all(distance is not None for distance in pairs.values()):
                threshold = self.truth.best_threshold(pairs)
                pairs = {pair: distance for pair, distance in pairs.items() if distance <= threshold}
            yield threshold, self.truth.score(pairs)

    def run_peer(
        self, python: Path, method: str, folder: Path, threshold: float
    ) -> tuple[dict[Pair, float | None], Cost]:
        with tempfile.TemporaryDirectory(dir=self.out) as place:
            result = Path(place) / "pairs.csv"
            command = [python, HERE / "run_peer.py", method, folder.resolve(), threshold, result]
            cost = run([str(word) for word in command], Path(place), self.timeout)
            return read_pairs(result, self.truth), cost

    def without_unreadable(self) -> Path:
        """A copy of the pictures' folder that lacks the files that cannot be read."""
        if self.readable is None:
            self.readable = self.out / "readable"
            shutil.rmtree(self.readable, ignore_errors=True)
            for name in self.truth.files:
                (self.readable / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.truth.folder / name, self.readable / name)
        return self.readable

    def summed_up(self, row: Row, passes: Sequence[tuple[dict[Pair, float | None], Cost]]) -> Row:
        """The score of the first pass, the costs of all."""
        pairs = [set(found) for found, _ in passes]
        notes = [row.note, "" if all(found == pairs[0] for found in pairs) else "other pairs in other passes"]
        score = self.truth.score(pairs[0])
        return replace(
            row, score=score, costs=[cost for _, cost in passes], note="; ".join(filter(None, notes))
        )


def environment(requirements: Sequence[str], envs: Path) -> Path:
    """The interpreter of an environment that holds the requirements; made where it does not exist yet."""
    folder = envs.resolve() / requirements[0].replace("==", "-")
    python, done, wanted = folder / "bin" / "python", folder / "requirements.txt", "\n".join(requirements)
    if not (done.exists() and done.read_text() == wanted):
        say(f"installing {requirements[0]}")
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *requirements]
        result = subprocess.run(pip, capture_output=True, text=True)
        if result.returncode:
            raise ProgramError(f"does not install: {last_line(result.stderr, 'ERROR')}")
        done.write_text(wanted)
    return python


def read_pairs(path: Path, truth: Truth) -> dict[Pair, float | None]:
    """Pairs (names in order) of files the truth knows, each with its least distance, or None where none is said."""
    found: dict[Pair, float | None] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            a, b = sorted((row["a"], row["b"]))
            if (
                a == b
                or a not in truth.files
                or b not in truth.files
                or row.get("tier", "near") not in KEPT_TIERS
            ):
                continue
            distance = float(row["distance"]) if row.get("distance") else None
            known = found.get((a, b))
            found[a, b] = distance if known is None or distance is None else min(known, distance)
    return found


def measured(bench: Bench, method: str) -> list[Row]:
    say(method)
    try:
        return bench.ours(method) if method in OURS else bench.peer(method)
    except ProgramError as error:
        reason = str(error)
        if "No such option" in reason:
            reason = "not available in this version"
        return [Row(method, "", "default", note=reason)]


SCORES = "precision recall f1 closure_f1 mixed".split()
COSTS = "cpu_seconds wall_seconds peak_mb".split()
HEADINGS = (
    "method", "at", "threshold", "precision", "recall", "F1", "F1 after closure", "largest mixed cluster", "CPU s",
    "wall s", "peak MB", "note",
)  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = [HEADINGS, ["---"] * 3 + ["---:"] * (len(HEADINGS) - 4) + ["---"]]
    for row in rows:
        cells = [f"{row.method} ({row.version})" if row.costs else row.method, row.at, row.threshold]
        cells += ["" if row.score is None else number(getattr(row.score, name)) for name in SCORES]
        cells += [spread([getattr(cost, name) for cost in row.costs]) for name in COSTS]
        lines.append([*cells, row.note.replace("|", "/")])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def kinds_table(rows: Sequence[Row]) -> str:
    """Recall by kind of edit as a Markdown table: default / best."""
    methods = list(dict.fromkeys(row.method for row in rows if row.score))
    kinds = sorted({kind for row in rows if row.score for kind in row.score.kinds})
    lines = [["kind", *methods], ["---", *["---:"] * len(methods)]]
    for kind in kinds:
        scores = {
            method: [row.score.kinds[kind] for row in rows if row.method == method and row.score]
            for method in methods
        }
        lines.append([kind, *(" / ".join(f"{value:.2f}" for value in scores[method]) for method in methods)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def spread(values: Sequence[float]) -> str:
    """Mean of the passes, with the standard deviation where there are several."""
    if not values:
        return ""
    mean = statistics.mean(values)
    digits = 2 if mean < 10 else 1 if mean < 100 else 0
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean:.{digits}f}{deviation}"


def write_csv(rows: Sequence[Row], out: Path) -> None:
    """results.csv: a row for each method and threshold; recall_by_kind.csv: one for each of their kinds of edit."""
    with (out / "results.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["method", "version", "at", "threshold", "reported", "wrong", "closure_precision", *SCORES, "n"]
            + [f"{name}_{what}" for name in COSTS for what in ("mean", "sd")]
            + ["note"]
        )
        for row in rows:
            scores = [
                getattr(row.score, name, "") for name in ("reported", "wrong", "closure_precision", *SCORES)
            ]
            costs = []
            for name in COSTS:
                values = [getattr(cost, name) for cost in row.costs]
                costs += [
                    statistics.mean(values) if values else "",
                    statistics.stdev(values) if len(values) > 1 else "",
                ]
            figures = [
                f"{value:.5g}" if isinstance(value, float) else value
                for value in (*scores, len(row.costs), *costs)
            ]
            writer.writerow([row.method, row.version, row.at, row.threshold, *figures, row.note])
    with (out / "recall_by_kind.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["method", "at", "kind", "recall"])
        for row in rows:
            for kind, recall in (row.score.kinds if row.score else {}).items():
                writer.writerow([row.method, row.at, kind, f"{recall:.4f}"])


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    methods = (*OURS, *ALL)
    parser.add_argument("data", type=Path)
    parser.add_argument("--methods", default=",".join(methods), help="comma-separated: %(default)s")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/near_duplicates"), help="environments and tables (%(default)s)"
    )
    parser.add_argument(
        "--repeat", type=int, default=1, metavar="N", help="passes of which the cost is measured (1)"
    )
    parser.add_argument(
        "--timeout", type=float, default=3600, metavar="S", help="seconds that one run may take (3600)"
    )
    options = parser.parse_args()
    chosen = options.methods.split(",")
    if unknown := set(chosen) - set(methods):
        parser.error(f"no such method: {', '.join(sorted(unknown))}")
    if options.repeat < 1:
        parser.error("--repeat: at least 1")
    truth, out = Truth.read(options.data), options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for name in (*truth.files, *truth.unreadable):
        (truth.folder / name).read_bytes()  # into the system's cache
    title = (
        f"{hardware()}; load {os.getloadavg()[0]:.1f} before the start\n\n"
        f"{options.data.name}: {len(truth.files)} readable files, {len(truth.unreadable)} unreadable, "
        f"{len(truth.pairs)} true pairs; n = {options.repeat}"
        + (" (mean ± standard deviation)" if options.repeat > 1 else "")
        + ".\nbest: the threshold with the best F1 over pairs on this data, chosen after the fact, in the peer's favour."
    )
    bench, rows = Bench(truth, out, options.repeat, options.timeout), []
    for method in chosen:
        rows += measured(bench, method)
        write_csv(rows, out)
        kinds = f"Recall by kind of edit, at the default / at the best threshold\n\n{kinds_table(rows)}"
        (out / "results.md").write_text(f"{title}\n\n{table(rows)}\n\n{kinds}\n", encoding="utf-8")
    print((out / "results.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
