"""The stage on folders whose truth is known: drawings made here, photographs of the demo set's sources."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curate.errors import UserError
from curate.photos import VERSION, PhotoSettings, run
from curate.pipeline import Context, bring_up_to_date, session
from curate.workspace import Workspace

skimage_data = pytest.importorskip("skimage.data")


def photographs(number: int) -> Iterator[Image.Image]:
    sources = [skimage_data.astronaut(), skimage_data.coffee(), skimage_data.chelsea(), skimage_data.rocket()]
    rng = np.random.default_rng(3)
    for index in range(number):
        whole = Image.fromarray(sources[index % len(sources)])
        side = int(min(whole.size) * rng.uniform(0.7, 1.0))
        left, top = (int(rng.integers(0, room - side + 1)) for room in whole.size)
        yield whole.crop((left, top, left + side, top + side)).resize((120, 120))


def write(folder: Path, drawings: int, photos: int, make_drawing) -> set[str]:
    """Fill a folder; the names of the photographs."""
    (folder / "all").mkdir(parents=True)
    for index in range(drawings):
        make_drawing(index, size=120).save(folder / f"all/drawing{index:03}.png")
    for index, picture in enumerate(photographs(photos)):
        picture.save(folder / f"all/photo{index:03}.jpg")
    return {f"all/photo{index:03}.jpg" for index in range(photos)}


def test_photographs_among_drawings_are_found(tmp_path, make_drawing):
    photos = write(tmp_path / "mixed", 60, 24, make_drawing)
    with session(tmp_path / "mixed") as workspace:
        bring_up_to_date(workspace, ["filter-photos"], workers=1)
        tables = run(Context(workspace, 1), PhotoSettings())
        stored = workspace.read("photos")
    found = set(stored.loc[stored["photo_verdict"] == "photo", "path"])
    assert found <= photos
    assert len(found) >= 20
    assert set(stored.loc[stored["path"].isin(found), "action"]) == {"remove"}
    assert (tables["photos"]["photo_score"].to_numpy() == stored["photo_score"].to_numpy()).all()
    assert "Estimated share of photographs" in tables["share"]["sentence"][0]
    assert tables["share"]["present"][0]


def test_a_clean_folder_loses_nothing_and_is_told_so(tmp_path, make_drawing):
    write(tmp_path / "clean", 80, 0, make_drawing)
    with session(tmp_path / "clean") as workspace:
        bring_up_to_date(workspace, ["scan"], workers=1)
        tables = run(Context(workspace, 1), PhotoSettings())
    photos = tables["photos"]
    assert (photos["photo_verdict"] == "drawing").mean() > 0.95
    assert (photos["action"] != "remove").all()
    assert "nothing is removed" in tables["share"]["sentence"][0]


def test_what_is_known_is_used_for_the_same_encoder_and_version_only(tmp_path, make_drawing, monkeypatch):
    from curate.photos import stage

    write(tmp_path / "small", 3, 0, make_drawing)
    with session(tmp_path / "small") as workspace:
        bring_up_to_date(workspace, ["filter-photos"], workers=1)
        assert len(stage._known(workspace, "builtin")) == 3
        assert stage._known(workspace, "timm:other@x.pt").empty
        monkeypatch.setattr(stage, "VERSION", VERSION + 1)
        assert stage._known(workspace, "builtin").empty


def test_an_unknown_encoder_is_told_before_any_picture_is_read(tmp_path, make_drawing):
    write(tmp_path / "small", 2, 0, make_drawing)
    with session(tmp_path / "small") as workspace:
        bring_up_to_date(workspace, ["scan"], workers=1)
        with pytest.raises(UserError, match="Did you mean 'builtin'"):
            run(Context(workspace, 1), PhotoSettings(encoder="buildin"))


@pytest.mark.parametrize("confidence", [0.3, 1.2, float("nan")])
def test_a_senseless_confidence_is_told(tmp_path, confidence):
    with pytest.raises(UserError, match=r"between 0\.5 and 1"):
        run(Context(Workspace(tmp_path), 1), PhotoSettings(min_confidence=confidence))


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"backend": "magic"}, "embedded, cluster, clip"),
        ({"find": "cats"}, "photos, illustrations"),
        ({"max_removed": 0.0}, "above 0 and up to 1"),
        ({"backend": "clip", "encoder": "builtin"}, "open_clip:MODEL/PRETRAINED"),
        ({"examples": "nowhere"}, "with a handful of pictures each"),
    ],
)
def test_settings_that_mean_nothing_are_told(tmp_path, setting, said):
    with pytest.raises(UserError) as error:
        run(Context(Workspace(tmp_path), 1), PhotoSettings(**setting))
    assert said in str(error.value.remedy)


def test_clusters_of_the_folder_alone_tell_photographs_from_drawings(tmp_path, make_drawing):
    photos = write(tmp_path / "mixed", 60, 24, make_drawing)
    with session(tmp_path / "mixed") as workspace:
        bring_up_to_date(
            workspace, ["filter-photos"], {"filter-photos": PhotoSettings(backend="cluster")}, workers=1
        )
        stored = workspace.read("photos")
    found = set(stored.loc[stored["photo_verdict"] == "photo", "path"])
    assert found <= photos
    assert len(found) >= 18
    assert stored["cluster"].str.contains("photographs").any()
    assert stored["cluster"].str.match(r"^[0-9]+: (photographs|drawings)$").all()


def test_a_folder_of_one_kind_is_one_kind_to_the_clusters(tmp_path, make_drawing):
    write(tmp_path / "clean", 80, 0, make_drawing)
    with session(tmp_path / "clean") as workspace:
        bring_up_to_date(
            workspace, ["filter-photos"], {"filter-photos": PhotoSettings(backend="cluster")}, workers=1
        )
        assert (workspace.read("photos")["action"] == "keep").all()
        assert not workspace.read("share")["present"][0]


def test_drawings_among_photographs_are_found(tmp_path, make_drawing):
    photos = write(tmp_path / "album", 12, 48, make_drawing)
    with session(tmp_path / "album") as workspace:
        bring_up_to_date(
            workspace, ["filter-photos"], {"filter-photos": PhotoSettings(find="illustrations")}, workers=1
        )
        stored, share = workspace.read("photos"), workspace.read("share")
    removed = set(stored.loc[stored["action"] == "remove", "path"])
    assert not removed & photos
    assert len(removed) >= 10
    assert share["wanted"].tolist() == ["illustrations"]
    assert "Estimated share of illustrations" in share["sentence"][0]


def test_the_words_of_a_clip_model_run_through_the_same_decision(tmp_path, make_drawing, tiny_clip):
    write(tmp_path / "mixed", 20, 8, make_drawing)
    settings = PhotoSettings(backend="clip", encoder=f"open_clip:tiny-test/{tiny_clip}")
    with session(tmp_path / "mixed") as workspace:
        bring_up_to_date(workspace, ["filter-photos"], {"filter-photos": settings}, workers=1)
        stored, embeddings = workspace.read("photos"), workspace.read("embeddings")
    assert len(stored) == 28
    assert stored["photo_score"].between(0, 1).all()
    assert {len(vector) for vector in embeddings["vector"]} == {16}


def test_where_more_would_go_than_is_allowed_the_sentence_says_how_many(tmp_path, make_drawing):
    write(tmp_path / "mixed", 60, 24, make_drawing)
    settings = PhotoSettings(max_removed=0.05)
    with session(tmp_path / "mixed") as workspace:
        bring_up_to_date(workspace, ["filter-photos"], {"filter-photos": settings}, workers=1)
        share, photos = workspace.read("share"), workspace.read("photos")
    assert (photos["action"] != "remove").all()
    assert "of 84 would go, more than the 5% that --max-removed allows" in share["sentence"][0]


def test_other_examples_are_noticed(tmp_path, make_drawing):
    import curate

    write(tmp_path / "mixed", 30, 12, make_drawing)
    for name, pictures in (
        ("photos", photographs(3)),
        ("drawings", [make_drawing(90 + i) for i in range(3)]),
    ):
        (tmp_path / "examples" / name).mkdir(parents=True)
        for index, picture in enumerate(pictures):
            picture.save(tmp_path / "examples" / name / f"{index}.png")

    def examples_seen() -> str:
        curate.filter_photos(tmp_path / "mixed", examples=tmp_path / "examples", workers=1)
        with session(tmp_path / "mixed") as workspace:
            return workspace.origin("photos").settings["examples_state"]

    first = examples_seen()
    assert first
    assert examples_seen() == first
    make_drawing(200, size=120).save(tmp_path / "examples" / "drawings" / "other.png")
    assert examples_seen() != first
