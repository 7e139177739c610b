"""The map: near things near, the same seed the same place, few vectors no trouble."""

import numpy as np
import pandas as pd
import pytest

from reports import map as maps
from reports.map import draw_map, project


def clusters(count: int = 30, dimensions: int = 16) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, dimensions)) * 3
    labels = np.repeat(np.arange(3), count)
    return (centres[labels] + rng.normal(size=(3 * count, dimensions)) * 0.2).astype(np.float32), labels


def test_clusters_stay_apart_and_the_seed_fixes_them() -> None:
    vectors, labels = clusters()
    placed = project(vectors, seed=1)
    assert placed.shape == (90, 2)
    assert placed.dtype == np.float32
    distances = np.linalg.norm(placed[:, None] - placed[None], axis=2) + np.eye(90) * 1e9
    assert (labels[distances.argmin(axis=1)] == labels).all()
    assert np.array_equal(placed, project(vectors, seed=1))


def test_equal_vectors_lie_on_one_spot() -> None:
    vectors, _ = clusters()
    placed = project(np.concatenate([vectors, vectors[:5]]), seed=1)
    assert np.array_equal(placed[90:], placed[:5])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 14])
def test_few_vectors(count: int) -> None:
    placed = project(clusters()[0][:count], seed=0)
    assert placed.shape == (count, 2)
    assert np.isfinite(placed).all()


def test_principal_components_keep_distances_of_flat_data() -> None:
    angles = np.linspace(0, 1, 8)
    vectors = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1).astype(np.float32)
    placed = project(vectors)
    assert np.linalg.norm(placed[0] - placed[-1]) == pytest.approx(
        np.linalg.norm(vectors[0] - vectors[-1]), abs=1e-5
    )


def test_all_vectors_equal_or_bad() -> None:
    assert np.isfinite(project(np.ones((40, 4), np.float32))).all()
    assert np.isfinite(project(np.full((40, 4), np.nan, np.float32))).all()
    with pytest.raises(ValueError, match="expected"):
        project(np.ones(4, np.float32))


def test_more_than_can_be_fitted_are_placed_among_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "_FIT_AT_MOST", 60)
    vectors, labels = clusters()
    placed = project(vectors, seed=0)
    centres = np.stack([placed[labels == label].mean(axis=0) for label in range(3)])
    assert (np.linalg.norm(placed[:, None] - centres[None], axis=2).argmin(axis=1) == labels).all()


def tables(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    files = pd.DataFrame(
        {
            "path": [f"cat/{i:03}.png" for i in range(count)],
            "content": [f"{i:03}" for i in range(count)],
            "label": "cat",
            "status": ["unreadable", *["ok"] * (count - 1)],
        }
    )
    vectors = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
    return files, pd.DataFrame({"content": files["content"], "vector": list(vectors)})


def test_a_chart_holds_readable_files_with_their_colourings() -> None:
    files, embeddings = tables(6)
    plan = pd.DataFrame(
        {
            "path": files["path"],
            "action": ["remove"] * 3 + ["keep"] * 2 + ["review"],
            "stage": ["scan", "dedup", "filter-photos", "", "", "dedup"],
        }
    )
    chart = draw_map(files, embeddings, plan=plan)
    assert chart is not None
    assert chart.paths == list(files["path"][1:])
    names, values = chart.colourings["Plan"]
    assert [names[value] for value in values] == [
        "removed as a copy",
        "removed by the photo filter",
        "stays",
        "stays",
        "waits for a person",
    ]
    assert all(0 <= place <= 10_000 for place in chart.x + chart.y)
    assert draw_map(*tables(3)) is None


@pytest.mark.parametrize(
    ("wanted", "present", "expected"),
    [
        ("photos", True, ["0.00 to 0.10", "0.10 to 0.50", "0.50 to 0.80", "0.80 to 1.00: found"]),
        ("photos", False, ["0.00 to 0.10", "0.10 to 0.50", "0.50 to 0.80", "0.80 to 1.00"]),
        ("illustrations", True, ["0.00 to 0.20: found", "0.20 to 0.50", "0.50 to 0.90", "0.90 to 1.00"]),
    ],
)
def test_the_map_shows_where_the_threshold_lies(wanted: str, present: bool, expected: list[str]) -> None:
    files, embeddings = tables(5)
    photos = pd.DataFrame(
        {"path": files["path"], "photo_verdict": "drawing", "photo_score": [0.0, 0.05, 0.3, 0.6, 1.0]}
    )
    share = pd.DataFrame({"wanted": [wanted], "threshold": [0.8], "present": [present]})
    chart = draw_map(files, embeddings, photos, share=share)
    assert chart is not None
    names, values = chart.colourings["Photo score"]
    assert [names[value] for value in values] == expected


def test_a_large_folder_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "MAP_POINTS", 8)
    files, embeddings = tables(13)
    chart = draw_map(files, embeddings)
    assert chart is not None
    assert (len(chart.paths), chart.total) == (8, 12)
    assert chart.paths == sorted(chart.paths)


def test_what_is_compiled_for_the_map_is_kept() -> None:
    project(clusters()[0])
    from umap.umap_ import smooth_knn_dist

    assert smooth_knn_dist.stats.cache_path


def test_no_place_to_keep_it_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba
    from umap import layouts

    refused = []

    def refuse(function: object) -> None:
        refused.append(function)
        raise RuntimeError("cannot cache function: no locator available")

    fresh = numba.njit(lambda x: x)
    monkeypatch.setattr(type(fresh), "enable_caching", refuse)
    monkeypatch.setattr(layouts, "fresh", fresh, raising=False)
    assert np.isfinite(project(clusters()[0])).all()
    assert fresh in refused
