"""Maps over many items in worker processes.

Stages hand their per-item work to `map_chunks` and never see processes, so a cluster engine can take the place
of this one. Results come back in the order of the items, whatever the number of workers.
"""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
Progress = Callable[[int, int], None]
"""Called with (items done, items in all) now and then."""


def silent(done: int, total: int) -> None:
    """A `Progress` that shows nothing."""


def default_workers() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_chunks(
    function: Callable[[Sequence[Item]], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    chunk: int = 64,
    progress: Progress = silent,
) -> Iterator[Result]:
    """Yield `function(items[i:i + chunk])` for each chunk, in order.

    `function` must be importable (a module's function, or a `functools.partial` of one). With one worker, or one
    chunk, it runs in this process. Memory holds a few chunks a worker at a time. Wherever it runs, the numerical
    libraries it calls keep to one thread.
    """
    starts = range(0, len(items), chunk)
    count = default_workers() if workers is None else max(1, workers)
    progress(0, len(items))
    if count == 1 or len(starts) <= 1:
        for start in starts:
            yield _alone(function, items[start : start + chunk])
            progress(min(start + chunk, len(items)), len(items))
        return
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=count, return_as="generator", pre_dispatch=4 * count, batch_size=1)
    work = (delayed(_alone)(function, items[start : start + chunk]) for start in starts)
    for start, result in zip(starts, parallel(work), strict=True):
        yield result
        progress(min(start + chunk, len(items)), len(items))


def release_workers() -> None:
    """End the worker processes that stand by for the next map; it starts new ones.

    Before and after work that loads a network in each: workers that served another map first would be taken for leaking
    memory and be ended in the middle, and those that hold a network hold its memory.
    """
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


def _alone(function: Callable[[Sequence[Item]], Result], items: Sequence[Item]) -> Result:
    """`function(items)` on one thread: for the small products of one picture, many cost more than they save."""
    from threadpoolctl import threadpool_limits

    keep_freed_memory()
    with threadpool_limits(limits=1):
        return function(items)


@functools.cache
def keep_freed_memory() -> None:
    """Let this process keep up to 64 MiB that it freed, where its C library is glibc; elsewhere nothing happens.

    Work on pictures allocates and frees arrays of a few megabytes all the time. By its defaults glibc gives each back to
    the system and has it filled with zeros anew, which takes up to a third of the time (mallopt(3), M_MMAP_THRESHOLD and
    M_TRIM_THRESHOLD).
    """
    import ctypes

    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    for parameter, limit in ((_M_MMAP_THRESHOLD, 32 << 20), (_M_TRIM_THRESHOLD, 64 << 20)):
        libc.mallopt(parameter, limit)
