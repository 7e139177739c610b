"""`curate run` as a process: whole, killed, and on input that will not do."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from curate.tables import TABLES
from curate.workspace import Workspace

from .conftest import tree

KILLER = """
import os, signal, sys
import curate.workspace as w

before, after = int(sys.argv[1]), int(sys.argv[2])
real = w.Path.replace
count = 0

def replace(self, target):
    global count
    count += 1
    if count == before:
        os.kill(os.getpid(), signal.SIGKILL)
    done = real(self, target)
    if count == after:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

w.Path.replace = replace
sys.argv = ["curate", *sys.argv[3:]]
from curate.cli import main
main()
"""


def curate(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "curate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **options)


def digests(folder: Path, workspace: Path) -> dict[str, str]:
    place = Workspace(folder, workspace)
    return {name: place.digest(name) for name in TABLES}


def test_a_run_ends_with_the_place_of_the_report(curated):
    _, workspace, printed = curated
    assert f"Report: {workspace / 'report.html'}" in printed
    html = (workspace / "report.html").read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>")
    json.loads((workspace / "report.json").read_text(encoding="utf-8"))
    made = digests(*curated[:2])
    assert not made.pop("verdicts"), "what people say is no stage's to write"
    assert all(made.values()), "a table is missing"


def test_a_second_run_has_nothing_to_do(curated):
    folder, workspace, _ = curated
    times = {p.name: p.stat().st_mtime_ns for p in workspace.glob("*.parquet")}
    assert curate("run", folder, "--workspace", workspace, "--quiet").returncode == 0
    assert {p.name: p.stat().st_mtime_ns for p in workspace.glob("*.parquet")} == times


def test_the_number_of_workers_does_not_matter(curated, tmp_path):
    folder, workspace, _ = curated
    assert curate("run", folder, "--workspace", tmp_path / "w", "--workers", 1, "--quiet").returncode == 0
    assert digests(folder, tmp_path / "w") == digests(folder, workspace)


def test_killed_at_each_table_and_run_again_gives_the_same_tables(curated, tmp_path):
    folder, workspace, _ = curated
    mine = tmp_path / "w"
    kills = 0
    for turn in range(1, 40):
        # Killed before its first rename, after its second, before its third: each run gets a table further at least.
        at = ("0", str(turn)) if turn % 2 == 0 else (str(turn), "0")
        done = subprocess.run(
            [sys.executable, "-c", KILLER, *at, "run", str(folder), "--workspace", str(mine), "--quiet"],
            check=False,
            stdout=subprocess.DEVNULL,  # not pipes: workers of a killed run would hold them open for a while
            stderr=subprocess.DEVNULL,
            timeout=300,
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        kills += 1
    assert kills >= 4
    assert digests(folder, mine) == digests(folder, workspace)
    assert not list(mine.glob(".*.tmp"))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_by_the_keyboard_or_from_outside(curated, tmp_path, sent, code):
    folder, _, _ = curated
    process = subprocess.Popen(
        [sys.executable, "-m", "curate", "run", str(folder), "--workspace", str(tmp_path / "w")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "w" / "files.parquet").exists():
        assert process.poll() is None
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "error: interrupted." in err
    assert "Traceback" not in err
    assert "resource_tracker" not in err


def test_a_full_disk_is_said_and_leaves_the_old_table(curated, tmp_path):
    resource = pytest.importorskip("resource")
    folder, _, _ = curated

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))

    done = curate("scan", folder, "--workspace", tmp_path / "w", "--workers", 1, preexec_fn=little_room)
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path).rglob("*.parquet"))


@pytest.mark.parametrize("command", ["scan", "run"])
def test_bad_places_get_one_clear_line(command, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.png").write_bytes(b"x")
    for place, words in [
        ("nowhere", "no such folder"),
        ("file.png", "is a file"),
        ("empty", "holds no pictures"),
    ]:
        done = curate(command, tmp_path / place)
        assert done.returncode == 2, done.stderr
        lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        assert len(lines) == 1
        assert words in lines[0]
        assert str(tmp_path / place) in lines[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file.png"], "something was left behind"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_parent_that_cannot_be_written(demo_small, tmp_path):
    (tmp_path / "pictures").mkdir()
    tmp_path.chmod(0o500)
    done = curate("scan", tmp_path / "pictures")
    tmp_path.chmod(0o700)
    assert done.returncode == 2
    assert "--workspace" in done.stderr


@pytest.mark.parametrize("program", ["curate", "classify"])
def test_help_loads_nothing_heavy(program):
    code = (
        "import sys\n"
        f"from {program}.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'pandas', 'sklearn', 'PIL', 'rich', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_result_goes_to_csv_with_the_columns_that_other_tools_count_on(curated, tmp_path):
    folder, workspace, _ = curated
    first = {
        "scan": "path,status,reason,",
        "dedup": "a,b,tier,score,conflict",
        "filter-photos": "path,photo_score,photo_verdict,",
        "split": "path,content,label,split,",
        "balance": "path,label,weight,copies,",
        "eda": "problem,severity,count,",
        "status": "stage,state,found",
    }
    for command, columns in first.items():
        done = curate(
            command, folder, "--workspace", workspace, "--csv", tmp_path / f"{command}.csv", "--json"
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        assert (tmp_path / f"{command}.csv").read_text(encoding="utf-8").startswith(columns)
    table = (tmp_path / "dedup.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert table
    assert {line.split(",")[2] for line in table} <= {"exact", "pixel", "near"}


def test_a_folder_of_parts_is_not_what_to_go_on_with(demo_small, tmp_path):
    pictures = sorted((demo_small / "train").glob("*/*.png"))[:6]
    for index, picture in enumerate(pictures):
        place = tmp_path / "my set" / ("train" if index % 2 else "test") / "kind"
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, place)
    done = curate("run", tmp_path / "my set")
    assert done.returncode == 0, done.stderr
    assert f"Next: curate run '{tmp_path / 'my set' / 'train'}'" in done.stdout


def test_apply_needs_a_plan(demo_copy):
    unseen = curate("apply", demo_copy / "train", "--yes")
    assert unseen.returncode == 4
    assert "there is no plan yet" in unseen.stderr


def test_apply_needs_a_yes_and_undo_takes_it_back(curated_copy):
    folder = curated_copy
    before = tree(folder)
    refused = curate("apply", folder, stdin=subprocess.DEVNULL)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert tree(folder) == before
    assert curate("apply", folder, "--dry-run").returncode == 0
    assert tree(folder) == before
    applied = curate("apply", folder, "--yes")
    assert applied.returncode == 0, applied.stderr
    assert len(tree(folder)) < len(before)
    assert "in quarantine" in curate("status", folder).stdout
    assert curate("undo", folder).returncode == 0
    assert tree(folder) == before


def test_apply_refuses_a_group_whose_keeper_is_gone(curated_copy):
    folder = curated_copy
    plan = Workspace(folder).read("plan")
    keeper = plan.other[(plan.stage == "dedup") & (plan.action == "remove")].iloc[0]
    (folder / keeper).unlink()
    before = tree(folder)
    done = curate("apply", folder, "--yes")
    assert done.returncode == 4, done.stderr
    assert keeper in done.stderr
    assert tree(folder) == before


def test_a_flat_folder_is_fine_for_every_command(demo_copy, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted((demo_copy / "train").rglob("*.*"))[:60]):
        path.rename(flat / f"{number}{path.suffix}")
    for command in ("run", "dedup", "status"):
        done = curate(command, flat)
        assert done.returncode == 0, done.stderr
