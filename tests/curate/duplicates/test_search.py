"""The join on sampled bits finds what comparing all with all finds, and says what it left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, hypergeom

from curate.duplicates import bands, listing, search
from curate.duplicates.candidates import HASH_RADIUS, best_hashes, orientations
from curate.duplicates.search import LEAST_RADIUS, PARTNERS, join, near_pairs, radius_for

RADIUS = 45


def turned(bits: np.ndarray, o: int) -> np.ndarray:
    places, flips = orientations()
    return bits[places[o]] ^ flips[o]


def planted(n: int, seed: int, distances: list[int]) -> tuple[np.ndarray, set[tuple[int, int, int]]]:
    """Random hashes (n, 2, 32), of every second row one twice; row n - 1 - i is a turned copy of row i at one of the
    distances, for a third of the rows. The second value: first, second, distance of each such pair."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (n, 2, 256), dtype=np.uint8)
    bits[::2, 1] = bits[::2, 0]
    pairs = set()
    for i in range(n // 3):
        distance = distances[i % len(distances)]
        copy = bits[i, rng.integers(0, 2)].copy()
        copy[rng.permutation(256)[:distance]] ^= 1
        bits[n - 1 - i, rng.integers(0, 2)] = turned(copy, i % 8)
        pairs.add((i, n - 1 - i, distance))
    return np.packbits(bits, axis=2), pairs


def crowd(n: int, size: int) -> np.ndarray:
    """Random hashes of which the first `size` differ by 6 bits or so from one, in both kinds alike."""
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2, (n, 1, 256), dtype=np.uint8)
    bits[:size] = bits[0] ^ (rng.random((size, 1, 256)) < 6 / 256)
    return np.packbits(bits.repeat(2, axis=1), axis=2)


@pytest.mark.parametrize("seed", range(3))
def test_the_join_finds_what_comparing_all_with_all_finds(seed: int) -> None:
    hashes, pairs = planted(600, seed, list(range(RADIUS - 9)))
    found = join(hashes, radius=RADIUS, workers=1)
    assert pairs <= {(a, b, d) for a, b, d, *_ in found.pairs.tolist()}
    np.testing.assert_array_equal(found.pairs, best_hashes(hashes, RADIUS))
    assert found.pairs.dtype == np.int32
    assert not len(found.crowded)


def test_of_pairs_at_the_radius_fewer_than_one_in_a_thousand_is_missed() -> None:
    wanted = got = 0
    for seed in range(4):
        hashes, pairs = planted(900, 100 + seed, [RADIUS])
        found = join(hashes, radius=RADIUS, workers=1)
        wanted += len(pairs)
        got += len(pairs & {(a, b, d) for a, b, d, *_ in found.pairs.tolist()})
    assert wanted == 1200
    assert got >= wanted - 4  # the chance of more at a rate of 1 in 1,000: under 1 %


def test_nothing_beyond_the_radius_is_listed() -> None:
    hashes, _ = planted(300, 5, [RADIUS + 1, RADIUS + 8])
    assert not len(join(hashes, radius=RADIUS, workers=1).pairs)


def test_neither_workers_nor_the_order_of_the_rows_matter() -> None:
    hashes, _ = planted(500, 8, list(range(RADIUS + 1)))
    found = join(hashes, radius=RADIUS, workers=1)
    assert len(found.pairs) > 160
    np.testing.assert_array_equal(join(hashes, radius=RADIUS, workers=2).pairs, found.pairs)
    order = np.random.default_rng(1).permutation(len(hashes))
    moved = order[join(hashes[order], radius=RADIUS, workers=1).pairs[:, :2]]
    assert {tuple(sorted(pair)) for pair in moved.tolist()} == {(a, b) for a, b, *_ in found.pairs.tolist()}


@pytest.mark.parametrize("n", [0, 1, 2])
def test_hardly_anything_to_search(n: int) -> None:
    hashes = np.full((n, 2, 32), 7, np.uint8)
    for found in (join(hashes, radius=RADIUS, workers=1), near_pairs(hashes, workers=1)):
        assert found.pairs.tolist() == ([[0, 1, 0, 0, 0, 0]] if n == 2 else [])
        assert not len(found.crowded)


def test_few_rows_are_compared_all_with_all_and_listed_in_full() -> None:
    hashes = np.concatenate([planted(400, 11, list(range(HASH_RADIUS + 1)))[0], crowd(150, 150)])
    hashes[10 : 10 + 2 * PARTNERS] = hashes[0]
    found = near_pairs(hashes, workers=1)
    np.testing.assert_array_equal(found.pairs, best_hashes(hashes))
    assert found.radius == HASH_RADIUS
    assert not len(found.crowded)


def test_a_negative_is_no_copy() -> None:
    hashes = np.random.default_rng(0).integers(0, 256, (1, 2, 32), dtype=np.uint8)
    hashes = np.concatenate([hashes, ~hashes])
    assert not len(near_pairs(hashes).pairs)
    assert not len(join(hashes, radius=RADIUS, workers=1).pairs)


def test_equal_hashes_are_folded_and_all_pairs_listed_where_they_are_few() -> None:
    hashes = np.zeros((PARTNERS, 2, 32), np.uint8)
    found = join(hashes, radius=RADIUS, workers=1)
    assert len(found.pairs) == PARTNERS * (PARTNERS - 1) // 2
    assert not len(found.crowded)


def test_of_many_equal_hashes_each_is_listed_and_it_is_said() -> None:
    n = 5 * PARTNERS
    found = join(np.zeros((n, 2, 32), np.uint8), radius=RADIUS, workers=1)
    partners = np.bincount(found.pairs[:, :2].ravel(), minlength=n)
    assert partners.min() >= PARTNERS
    assert {(0, row) for row in range(1, n)} <= {(a, b) for a, b, *_ in found.pairs.tolist()}
    assert found.crowded.tolist() == list(range(n))


def test_a_crowd_is_not_cut_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "FULL", 16)
    size, outside = 200, 250
    hashes = crowd(300, size)
    rng = np.random.default_rng(2)
    for outsider in range(outside, 300):  # near to one of the crowd, most of them not to its centre
        bits = np.unpackbits(hashes[outsider - outside, 0])
        bits[rng.permutation(256)[:RADIUS]] ^= 1
        hashes[outsider] = np.packbits(turned(bits, outsider % 8))
    found = join(hashes, radius=RADIUS, workers=1)
    everything = {(a, b) for a, b, *_ in best_hashes(hashes, RADIUS).tolist()}
    listed = {(a, b) for a, b, *_ in found.pairs.tolist()}
    assert listed <= everything
    missing = everything - listed
    assert missing
    assert {row for pair in missing for row in pair} <= set(found.crowded.tolist())
    partners = np.bincount(found.pairs[:, :2].ravel(), minlength=len(hashes))
    assert partners[:size].min() >= PARTNERS
    with_outsiders = {(a, b) for a, b in everything if b >= outside}
    assert len(with_outsiders) > 100
    assert len(with_outsiders - listed) <= 1


def test_overfull_buckets_are_split_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "FULL", 4)
    tables = {}

    def short(count: int, radius: int, distances: np.ndarray) -> tuple[int, int]:
        tables[radius] = int(np.ceil(np.log(0.0005) / np.log1p(-bands.agreement(8, radius))))
        return 8, tables[radius]  # some 20 hashes a bucket

    monkeypatch.setattr(search, "plan", short)
    hashes, pairs = planted(600, 21, [RADIUS])
    found = join(hashes, radius=RADIUS, workers=1)
    assert len(pairs - {(a, b, d) for a, b, d, *_ in found.pairs.tolist()}) <= 1
    assert tables[RADIUS] < 60


def test_a_key_is_the_same_for_all_flips_and_follows_a_transposition() -> None:
    rng = np.random.default_rng(4)
    bits = rng.integers(0, 2, 256, dtype=np.uint8)
    words = bands.words_of(np.packbits(np.array([turned(bits, o) for o in range(8)]), axis=1))
    columns = np.ascontiguousarray(words[:8].view(np.uint8).T)
    for _ in range(20):
        draw = bands.Draw.of(rng.permutation(256)[:20].tolist())
        plain, transposed = bands.keys(columns, draw, False), bands.keys(columns, draw, True)
        assert len(set(plain[:4].tolist())) == 1
        assert set(transposed[4:].tolist()) == set(plain[:4].tolist())


def test_distances_of_all_orientations() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.integers(0, 2, (2, 256), dtype=np.uint8)
    words = bands.words_of(np.packbits(np.stack([first, second]), axis=1))
    wanted = [int((first != turned(second, o)).sum()) for o in range(8)]
    plain = bands.flip_distances(bands.differing(words[:1], words[1:2]).astype(np.int16))
    transposed = bands.flip_distances(bands.differing(words[:1], words[3:4]).astype(np.int16))
    assert [*plain[:, 0].tolist(), *transposed[:, 0].tolist()] == wanted


@pytest.mark.parametrize(("n", "effective"), [(20_000, 100), (1_000_000, 100), (1_000_000, 90)])
def test_the_radius_is_the_largest_that_keeps_chance_matches_few(n: int, effective: int) -> None:
    radius = radius_for(n, effective)
    chance = [
        4 * (2 * n) ** 2 * binom.cdf(np.floor((r * effective + 1e-9) / 256), effective, 0.5)
        for r in (radius, radius + 1)
    ]
    assert chance[0] <= search.CHANCE_MATCHES < chance[1]


def test_the_radius_falls_with_the_number_of_pictures_within_its_bounds() -> None:
    radii = [radius_for(n) for n in (0, 1, 100, 10_000, 100_000, 10**6, 10**7, 10**9)]
    assert radii == sorted(radii, reverse=True)
    assert (radii[0], radii[-1]) == (HASH_RADIUS, LEAST_RADIUS)
    assert radius_for(10**6, 40) == LEAST_RADIUS


def test_effective_bits_are_read_from_the_lower_tail() -> None:
    for effective in (60, 90):
        distances = np.zeros(257, np.int64)
        places = np.round(np.arange(effective + 1) * 256 / effective).astype(int)
        distances[places] = 2_000_000 * binom.pmf(np.arange(effective + 1), effective, 0.5)
        distances[3] += 5000  # copies
        assert search.effective_bits(distances) == pytest.approx(effective, rel=0.15)
    assert search.effective_bits(np.ones(257, np.int64)) == search.EFFECTIVE_BITS


def test_agreement_is_hypergeometric() -> None:
    assert bands.agreement(20, 40) == pytest.approx(hypergeom.pmf(0, 256, 40, 20))
    assert bands.agreement(200, 100) == 0


def test_folding_does_not_depend_on_the_order_of_the_rows() -> None:
    hashes, _ = planted(50, 1, [0])
    items, item_of = listing.fold(hashes)
    np.testing.assert_array_equal(items[item_of], hashes)
    assert len({item.tobytes() for item in items}) == len(items)
    np.testing.assert_array_equal(listing.fold(hashes[::-1])[0], items)


def test_store_writes_the_same_bits_twice(tmp_path: Path) -> None:
    hashes = np.random.default_rng(2).integers(0, 256, (5, 32), dtype=np.uint8)
    bands.store(hashes, tmp_path)
    words, columns = bands.load(str(tmp_path), "words"), bands.load(str(tmp_path), "columns")
    np.testing.assert_array_equal(words, bands.words_of(hashes))
    np.testing.assert_array_equal(columns.T, words[:5].copy().view(np.uint8))
