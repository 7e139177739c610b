"""Maps over chunks: order, progress, errors, processes."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence

import pytest

from curate.engine import default_workers, map_chunks, release_workers
from curate.errors import Locked, Refused, UserError


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers: int) -> None:
    results = list(map_chunks(list, range(10), workers=workers, chunk=3))
    assert results == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


@pytest.mark.parametrize("workers", [1, 2])
def test_partial_functions(workers: int) -> None:
    results = list(map_chunks(functools.partial(sum, start=100), [1, 2, 3], workers=workers, chunk=2))
    assert results == [103, 103]


@pytest.mark.parametrize("workers", [1, 2])
def test_progress_tells_each_chunk(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    list(map_chunks(list, range(5), workers=workers, chunk=2, progress=lambda *at: seen.append(at)))
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_items(workers: int) -> None:
    seen: list[tuple[int, int]] = []
    assert list(map_chunks(list, [], workers=workers, progress=lambda *at: seen.append(at))) == []
    assert seen == [(0, 0)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_users_error_comes_through_whole(workers: int) -> None:
    def refuse(items: Sequence[int]) -> list[int]:
        if 7 in items:
            raise Refused("7: is not for us.", "Leave it out.")
        return list(items)

    with pytest.raises(Refused, match="7: is not for us") as caught:
        list(map_chunks(refuse, range(20), workers=workers, chunk=4))
    assert caught.value.remedy == "Leave it out."


def threads_finder() -> Callable[[Sequence[int]], set[int]]:
    """A function that tells how many threads the numerical libraries may use while it runs."""

    def threads(items: Sequence[int]) -> set[int]:
        import numpy as np  # brings a library with threads
        from threadpoolctl import threadpool_info

        assert np.ones(1).sum()
        return {library["num_threads"] for library in threadpool_info()}

    return threads


@pytest.mark.parametrize("workers", [1, 2])
def test_a_function_of_items_has_one_thread(workers: int) -> None:
    for counts in map_chunks(threads_finder(), range(4), workers=workers, chunk=1):
        assert counts == {1}


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's own setting")
def test_freed_memory_is_used_again() -> None:
    code = """
        import resource, sys
        import numpy as np
        from curate.engine import keep_freed_memory
        if sys.argv[1] == "kept":
            keep_freed_memory()
        def faults():
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        def use():
            parts = [np.ones(1 << 18) for _ in range(8)]  # 2 MiB each
        use()
        before = faults()
        for _ in range(20):
            use()
        print(faults() - before)
    """
    as_it_is, kept = (
        int(subprocess.check_output([sys.executable, "-c", textwrap.dedent(code), how]))
        for how in ("as it is", "kept")
    )
    assert kept < as_it_is / 10


def process_finder() -> Callable[[Sequence[int]], int]:
    """A function that tells its process; one within another travels to a worker whole, as a test's module cannot."""

    def process(items: Sequence[int]) -> int:
        return os.getpid()

    return process


def test_work_is_done_in_other_processes_with_several_workers() -> None:
    assert os.getpid() not in set(map_chunks(process_finder(), range(8), workers=2, chunk=2))


def test_one_worker_or_one_chunk_stays_in_this_process() -> None:
    assert set(map_chunks(process_finder(), range(8), workers=1, chunk=2)) == {os.getpid()}
    assert set(map_chunks(process_finder(), range(8), workers=4, chunk=8)) == {os.getpid()}


def test_results_are_given_as_they_come() -> None:
    done: list[int] = []

    def noting(items: Sequence[int]) -> list[int]:
        done.extend(items)
        return list(items)

    results = map_chunks(noting, range(6), workers=1, chunk=2)
    assert next(results) == [0, 1]
    assert done == [0, 1]


def test_default_workers() -> None:
    assert 1 <= default_workers() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("kind", "code"), [(UserError, 2), (Refused, 4), (Locked, 5)])
def test_exit_codes(kind: type[UserError], code: int) -> None:
    error = kind("x: is wrong.", "Mend it.")
    assert (error.exit_code, str(error)) == (code, "x: is wrong. Mend it.")


def test_released_workers_do_not_serve_the_next_map() -> None:
    first = set(map_chunks(process_finder(), range(8), workers=2, chunk=1))
    release_workers()
    assert not first & set(map_chunks(process_finder(), range(8), workers=2, chunk=1))
    release_workers()
    release_workers()  # there is none to end
