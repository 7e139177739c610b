"""What a program takes while it runs: CPU seconds, wall seconds and memory of it and of the processes it starts."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


class ProgramError(Exception):
    """A program could not be installed or run; says why in a line."""


@dataclass(frozen=True)
class Cost:
    """What one run took: CPU (user + system) and wall seconds, and the largest sum of resident sets in megabytes.

    The memory is looked at 20 times a second; pages that processes share are counted for each.
    """

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def run(command: Sequence[str], place: Path, timeout: float) -> Cost:
    """Run a program in `place`, which is its home too, so that nothing kept by an earlier run helps it."""
    surroundings = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    surroundings |= {name: str(place) for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")}
    surroundings |= {"SENTRY_OPT_OUT": "1"}  # a peer reports to its makers otherwise
    before, start = children_seconds(), time.perf_counter()
    with (place / "said").open("w+", errors="replace") as said:
        process = psutil.Popen(command, cwd=place, env=surroundings, stdout=said, stderr=said)
        seconds, peak = watched(process, start + timeout)
        wall = time.perf_counter() - start
        said.seek(0)
        if process.returncode:
            raise ProgramError(last_line(said.read()) or f"ended with {process.returncode}")
    # the first sum lacks workers that their parent does not wait for, the second what falls between two looks
    return Cost(max(children_seconds() - before, seconds), wall, peak / 1e6)


def watched(process: psutil.Popen, until: float) -> tuple[float, int]:
    """Wait for the end; CPU seconds as last seen of all its processes, largest sum of their resident bytes."""
    seconds: dict[int, float] = {}
    peak = 0
    while True:
        resident = 0
        for one in family(process):
            try:
                resident += one.memory_info().rss
                seconds[one.pid] = sum(one.cpu_times()[:2])
            except psutil.Error:
                continue
        peak = max(peak, resident)
        try:
            process.wait(0.05)
            return sum(seconds.values()), peak
        except psutil.TimeoutExpired:
            if time.perf_counter() > until:
                for one in family(process):
                    one.kill()
                process.wait()
                raise ProgramError("not done in the time it was given") from None


def family(process: psutil.Popen) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def children_seconds() -> float:
    """User and system seconds of the processes that this one has waited for, with those they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def last_line(text: str, holding: str = "") -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and holding in line]
    return lines[-1][:200] if lines else ""
