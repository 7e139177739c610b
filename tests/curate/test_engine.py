"""Maps over chunks: order, progress, errors, processes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence

import pytest

from curate.engine import default_workers, map_chunks
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
