"""How fast is `curate scan`, and how much memory does it take?

    python benchmarks/scan.py                     makes 4,000 small pictures and scans them several times
    python benchmarks/scan.py --files 100000      the same once with so many files, for the memory
    python benchmarks/scan.py FOLDER              scans the pictures of FOLDER instead

The pictures are drawings and photograph-like ones as JPEG and PNG of about 10 kB. The file cache is warm: one scan
goes before those that count (not with over 20,000 files: there the one scan is all). Each scan starts from an empty workspace. CPU seconds are those of the parent and its
workers together: the figure to look at when other programs share the processors. Memory is the largest sum of the
resident sets of parent and workers, pages that they share counted for each.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import platform
import statistics
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image, ImageDraw

from curate.engine import default_workers
from curate.pipeline import Context
from curate.workspace import Workspace

scan = importlib.import_module("curate.stages.scan")
KINDS = 64


def photograph(rng: np.random.Generator, side: int) -> Image.Image:
    """Smooth shapes with a little noise."""
    coarse = np.clip(rng.normal(128, 50, (side // 16, side // 16, 3)), 0, 255).astype(np.uint8)
    smooth = np.asarray(
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC), dtype=np.float64
    )
    return Image.fromarray(np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8))


def drawing(rng: np.random.Generator, side: int, mode: str) -> Image.Image:
    """Flat shapes with outlines; on nothing where the mode has alpha."""
    image = Image.new(mode, (side, side), (255, 255, 255, 0)[: len(mode)])
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        x, y, across = (int(value) for value in rng.integers(8, side // 2, 3))
        fill = tuple(int(value) for value in rng.integers(0, 256, 3))
        shape = draw.ellipse if rng.random() < 0.7 else draw.rectangle
        shape((x, y, x + across, y + across * 2 // 3), fill=fill, outline=(0, 0, 0), width=3)
    return image


def picture(rng: np.random.Generator, kind: int) -> bytes:
    """A file of about 10 kB: three JPEG for one PNG, as many photographs as drawings among the JPEG."""
    buffer = io.BytesIO()
    if kind % 4 == 3:
        drawing(rng, 400, "RGBA" if kind % 8 == 7 else "RGB").save(buffer, "PNG")
    elif kind % 2:
        drawing(rng, 220, "RGB").save(buffer, "JPEG", quality=85)
    else:
        photograph(rng, 220).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def make(folder: Path, count: int) -> int:
    """Write `count` files of different bytes in 20 class folders; returns the bytes in all.

    Few pictures, each with its own number behind its end: a decoder does the same work, the hash differs.
    """
    rng = np.random.default_rng(0)
    kinds = [picture(rng, kind) for kind in range(KINDS)]
    for label in range(20):
        (folder / f"class{label:02d}").mkdir(parents=True)
    total = 0
    for number in range(count):
        data = kinds[number % KINDS] + number.to_bytes(8, "big")
        suffix = ".png" if data.startswith(b"\x89") else ".jpg"
        (folder / f"class{number % 20:02d}" / f"{number:07d}{suffix}").write_bytes(data)
        total += len(data)
    return total


class Meter:
    """CPU seconds and largest memory of this process and its workers while the block runs."""

    def __enter__(self) -> Meter:
        self.me = psutil.Process()
        self.peak = 0
        self.before = self._cpu()
        self.start = time.perf_counter()
        self.stop = threading.Event()
        self.watcher = threading.Thread(target=self._watch)
        self.watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.start
        self.stop.set()
        self.watcher.join()
        self.cpu = self._cpu() - self.before

    def _processes(self) -> list[psutil.Process]:
        return [self.me, *self.me.children(recursive=True)]

    def _cpu(self) -> float:
        times = [process.cpu_times() for process in self._processes()]
        return sum(one.user + one.system for one in times)

    def _watch(self) -> None:
        while not self.stop.wait(0.5):
            resident = 0
            for process in self._processes():
                try:
                    resident += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, resident)


def one_scan(folder: Path, place: Path, workers: int) -> tuple[int, Meter]:
    """Scan `folder` into a new workspace; returns the number of files and what it took."""
    with tempfile.TemporaryDirectory(dir=place) as fresh:
        workspace = Workspace.open(folder, Path(fresh) / "workspace")
        with Meter() as meter:
            frame = scan.run(Context(workspace, workers), scan.ScanSettings())["files"]
            workspace.write("files", frame, version=scan.VERSION)
    return len(frame), meter


def processor() -> str:
    """The processor's name and number of cores, as far as the system tells."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{os.cpu_count()} x {name}"


def spread(values: list[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"mean {statistics.mean(values):,.4g}, sd {deviation:,.3g}, n {len(values)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, help="a folder of pictures; without it pictures are made"
    )
    parser.add_argument("--files", type=int, default=4000, help="how many pictures are made")
    parser.add_argument("--repeats", type=int, default=5, help="scans that count (5)")
    parser.add_argument("--workers", type=int, default=default_workers())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = given.folder
        if folder is None:
            folder = Path(place) / "pictures"
            total = make(folder, given.files)
            print(f"{given.files:,} pictures made, {total / given.files / 1000:.1f} kB on average")
        print(f"{processor()}, {given.workers} workers, Python {platform.python_version()}")
        count, first = one_scan(folder, Path(place), given.workers)
        print(f"first scan of {count:,} files, start of the workers in it: {first.seconds:.2f} s")
        repeats = given.repeats if count <= 20_000 else 0
        meters = [one_scan(folder, Path(place), given.workers)[1] for _ in range(repeats)] or [first]
    print(f"images a second:           {spread([count / meter.seconds for meter in meters])}")
    print(f"CPU milliseconds an image: {spread([meter.cpu / count * 1000 for meter in meters])}")
    print(f"largest memory, MB:         {max(meter.peak for meter in [first, *meters]) / 1e6:,.0f}")


if __name__ == "__main__":
    main()
