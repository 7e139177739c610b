"""An honest run verifies; each thing that is changed afterwards is found."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from classify import loop, provenance, verification
from classify.cli import app
from classify.history import Epoch
from classify.settings import read_settings
from classify.training import train
from classify.verification import Verification, verify
from curate.errors import UserError

TINY = [
    "data.size=16",
    "model.width=4",
    "training.minutes=0",
    "training.epochs=1",
    "training.batch_size=8",
    "training.device=cpu",
    "training.precision=fp32",
]


@pytest.fixture(scope="module")
def honest(make_drawing, tmp_path_factory) -> tuple[Path, Path]:
    """(folder of pictures, folder of its run), to be read only."""
    place = tmp_path_factory.mktemp("honest")
    for index in range(16):
        file = place / "pictures" / "ab"[index % 2] / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        make_drawing(index, 32).save(file)
    (place / "pictures" / "a" / "broken.png").write_bytes(b"words")
    train(place / "pictures", place / "run", read_settings(None, TINY), workers=1)
    return place / "pictures", place / "run"


@pytest.fixture
def copied(honest, tmp_path) -> tuple[Path, Path]:
    """The same, to be changed."""
    pictures, run = tmp_path / "pictures", tmp_path / "run"
    shutil.copytree(honest[0], pictures)
    shutil.copytree(honest[1], run)
    return pictures, run


def outcomes(result: Verification) -> dict[str, str]:
    return {check.name: check.outcome for check in result.checks}


def details(result: Verification) -> dict[str, str]:
    return {check.name: check.detail for check in result.checks}


def edit(run: Path, **changes: object) -> None:
    path = run / provenance.NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_honest_run_is_good_in_all(honest):
    seen = []
    result = verify(honest[1], workers=1, retrain=True, on_check=seen.append)
    assert result.checks == seen
    assert result.bad == []
    assert outcomes(result) == {
        "first weights": "good",
        "list of files": "good",
        "pictures": "good",
        "data fingerprint": "good",
        "best.safetensors": "good",
        "last.safetensors": "good",
        "settings.toml": "good",
        "network": "good",
        "weight files": "good",
        "sessions": "note",
        "versions": "note",
        "trained anew": "good",
    }


def test_the_record_names_every_file_that_was_read(honest):
    record = json.loads((honest[1] / provenance.NAME).read_text())
    files = provenance.read_table((honest[1] / "files.csv").read_bytes())
    assert len(files) == record["files"]["rows"] == 17
    assert record["data"]["pictures"]["a"]["unreadable"] == 1
    one = next(file for file in files if file.path == "b/1.png")
    assert one.sha256 == provenance.file_digest(honest[0] / "b" / "1.png")
    assert one.size == (honest[0] / "b" / "1.png").stat().st_size
    assert one.label == "b"
    assert {file.part for file in files} == {"train", "val", "unreadable"}
    assert record["sessions"][0]["to_epoch"] == record["finish"]["epochs"] == 1


def test_pictures_that_changed_are_named(copied):
    pictures, run = copied
    shutil.copy(pictures / "a" / "2.png", pictures / "b" / "9.png")
    (pictures / "a" / "4.png").unlink()
    Image.new("RGB", (16, 16)).save(pictures / "b" / "new.png")
    result = verify(run, pictures, workers=1)
    assert result.bad == ["pictures", "data fingerprint"]
    assert details(result)["pictures"] == "1 missing: a/4.png; 1 changed: b/9.png; 1 new: b/new.png"


def test_a_picture_under_another_class_is_found(copied):
    pictures, run = copied
    (pictures / "a" / "4.png").rename(pictures / "b" / "4.png")
    assert verify(run, pictures, workers=1).bad == ["pictures", "data fingerprint"]


def test_pictures_that_are_not_there_leave_the_question_open(copied):
    pictures, run = copied
    edit(
        run,
        data={**json.loads((run / provenance.NAME).read_text())["data"], "source": str(pictures / "gone")},
    )
    result = verify(run)
    assert result.bad == []
    assert outcomes(result)["pictures"] == outcomes(result)["data fingerprint"] == "unknown"
    assert "cannot be done" in details(verify(run, retrain=True))["trained anew"]
    with pytest.raises(UserError, match="no such folder"):
        verify(run, pictures / "gone")


@pytest.mark.parametrize("name", ["best.safetensors", "last.safetensors"])
def test_weights_that_changed_are_found(copied, name):
    pictures, run = copied
    data = bytearray((run / name).read_bytes())
    data[-1] ^= 1
    (run / name).write_bytes(data)
    assert verify(run, pictures, workers=1).bad == [name]
    (run / name).unlink()
    assert "missing" in details(verify(run, pictures, workers=1))[name]


def test_settings_that_changed_are_named(copied):
    pictures, run = copied
    text = (run / "settings.toml").read_text()
    (run / "settings.toml").write_text(text.replace("label_smoothing = 0.1", "label_smoothing = 0.2"))
    result = verify(run, pictures, workers=1)
    assert result.bad == ["settings.toml"]
    assert "optimizer.label_smoothing" in details(result)["settings.toml"]
    (run / "settings.toml").unlink()
    assert verify(run, pictures, workers=1).bad == ["settings.toml"]


def test_a_record_that_changed_is_found(copied):
    pictures, run = copied
    record = json.loads((run / provenance.NAME).read_text())

    def bad(**changes: object) -> list[str]:
        edit(run, **{**record, **changes})
        return verify(run, pictures, workers=1).bad

    settings = record["settings"]
    assert bad(initial_weights_sha256="0" * 64) == ["first weights"]
    assert bad(start={"checkpoint": "other/best.safetensors"}) == ["first weights"]
    assert bad(seed=7) == ["first weights"]
    assert bad(settings={**settings, "training": {**settings["training"], "seed": 7}})[0] == "first weights"
    assert bad(model={**record["model"], "classes": ["a", "b", "c"]}) == ["first weights"]
    assert bad(data_sha256="0" * 64) == ["list of files", "data fingerprint"]
    assert bad(data={**record["data"], "pictures": {}}) == ["list of files"]
    assert bad(finish={}) == ["best.safetensors", "last.safetensors"]
    session = {**record["sessions"][0], "network": {"192.0.2.7:443": 2}, "weight_files": {"/x/vit.pt": 1}}
    assert bad(sessions=[session]) == ["network", "weight files"]
    assert bad(sessions=[]) == ["network", "weight files"]
    assert bad() == []


def test_a_list_of_files_that_changed_is_found(copied):
    pictures, run = copied
    text = (run / "files.csv").read_text()
    (run / "files.csv").write_text(text.replace(",val\n", ",train\n"))
    assert verify(run, pictures, workers=1).bad == ["list of files"]
    for other in ("other,columns\n", text + '"' + "x" * 140_000):
        (run / "files.csv").write_text(other)
        assert "cannot be read" in details(verify(run, pictures, workers=1))["list of files"]
    (run / "files.csv").write_text(text + "x\n")
    told = details(verify(run, pictures, workers=1))["list of files"]
    assert "has 1 columns, not 5" in told


def test_other_versions_leave_the_first_weights_open(copied):
    pictures, run = copied
    versions = {**provenance.versions(), "torch": "1.0"}
    edit(run, versions=versions, initial_weights_sha256="0" * 64)
    result = verify(run, pictures, workers=1)
    assert outcomes(result)["first weights"] == "unknown"
    assert "torch 1.0 recorded" in details(result)["versions"]


def test_a_network_whose_input_cannot_be_found_out_leaves_the_pictures_open(copied):
    pictures, run = copied
    settings = json.loads((run / provenance.NAME).read_text())["settings"]
    settings["model"]["name"] = "timm:gone"
    edit(run, settings=settings, start="a checkpoint")
    found = outcomes(verify(run, pictures, workers=1))
    assert (found["pictures"], found["data fingerprint"]) == ("unknown", "unknown")


def test_a_large_set_is_verified_from_the_disk(copied, monkeypatch):
    pictures, run = copied
    asked = []
    read = verification.read_dataset
    monkeypatch.setattr("classify.runs.fits", lambda items, side: False)
    monkeypatch.setattr(
        verification, "read_dataset", lambda *a, **more: asked.append(more["folder"]) or read(*a, **more)
    )
    assert not verify(run, pictures, workers=1).bad
    assert asked[0] is not None
    assert not asked[0].exists()


def test_training_anew_finds_weights_that_were_exchanged(copied):
    pictures, run = copied
    train(pictures, run.parent / "other", read_settings(None, [*TINY, "training.seed=1"]), workers=1)
    record = json.loads((run / provenance.NAME).read_text())
    for name in provenance.WEIGHTS:
        shutil.copy(run.parent / "other" / name, run / name)
        record["finish"]["sha256"][name] = provenance.file_digest(run / name)
    edit(run, **record)
    assert verify(run, pictures, workers=1).bad == []
    assert verify(run, pictures, workers=1, retrain=True).bad == ["trained anew"]


def test_a_run_by_the_clock_cannot_be_trained_anew(copied):
    pictures, run = copied
    record = json.loads((run / provenance.NAME).read_text())
    record["settings"]["training"]["minutes"] = 15.0
    edit(run, **record)
    assert "followed the clock" in details(verify(run, pictures, workers=1, retrain=True))["trained anew"]
    record["settings"]["training"]["minutes"] = 0.0
    edit(run, **{**record, "arithmetic": "fp32, channels first"})
    assert "channels last" in details(verify(run, pictures, workers=1, retrain=True))["trained anew"]


def test_what_training_reaches_for_is_recorded(honest, tmp_path):
    foreign = tmp_path / "pretrained.pth"
    foreign.write_bytes(b"weights")

    def reach(epoch: object) -> None:
        foreign.read_bytes()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            with contextlib.suppress(OSError):
                sender.connect(("192.0.2.7", 9))

    train(honest[0], tmp_path / "run", read_settings(None, TINY), workers=1, on_epoch=reach)
    result = verify(tmp_path / "run", workers=1)
    assert result.bad == ["network", "weight files"]
    assert "192.0.2.7:9" in details(result)["network"]
    assert str(foreign) in details(result)["weight files"]


def test_a_run_that_has_not_ended_is_told(copied):
    pictures, run = copied
    edit(run, finish=None)
    found = details(verify(run, pictures, workers=1))
    assert found["sessions"] == "one, from the first step on; the run has not ended"
    assert "--resume ends it" in found["best.safetensors"]


def test_a_resumed_run_has_a_session_each(honest, tmp_path):
    def stop(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    settings = read_settings(None, [*TINY, "training.epochs=3"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_SAVE_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            train(honest[0], tmp_path / "run", settings, workers=1, on_epoch=stop)
    assert verify(tmp_path / "run", workers=1).bad == ["best.safetensors", "last.safetensors"]
    train(honest[0], tmp_path / "run", resume=True, workers=1)
    result = verify(tmp_path / "run", workers=1, retrain=True)
    assert result.bad == []
    assert details(result)["sessions"] == "resumed after epoch 1"


def test_bad_folders_are_said(honest, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        verify(tmp_path / "none")
    with pytest.raises(UserError, match="not the folder of a run"):
        verify(tmp_path)
    (tmp_path / provenance.NAME).write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        verify(tmp_path)
    (tmp_path / provenance.NAME).write_text('{"start": "random"}')
    with pytest.raises(UserError, match="initial_weights_sha256"):
        verify(tmp_path)


def test_the_command_prints_a_line_each_and_its_exit_code(copied):
    pictures, run = copied

    def call(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["verify", *map(str, arguments), "--workers", "1"])

    done = call(run, "--data", pictures)
    assert done.exit_code == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["good"] * 9 + ["note"] * 2
    (run / "last.safetensors").unlink()
    done = call(run, "--data", pictures, "--json")
    assert done.exit_code == 4
    printed = json.loads(done.stdout)
    assert printed["verified"] is False
    assert [c["name"] for c in printed["checks"] if c["outcome"] == "bad"] == ["last.safetensors"]
    assert "1 of 11 checks failed: last.safetensors" in printed["error"]["message"]
    done = call(run, "--data", pictures, "--quiet")
    assert (done.exit_code, done.stdout) == (4, "")
    assert "last.safetensors" in done.stderr
