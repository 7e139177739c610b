from PIL import Image

import curate
from curate.pipeline import STAGES
from curate.status import status
from curate.tables import FILES
from curate.workspace import Workspace


def test_each_stage_is_a_line(tmp_path):
    (tmp_path / "pictures").mkdir()
    workspace = Workspace.open(tmp_path / "pictures")
    assert [row[:2] for row in status(workspace)] == [(name, "not run") for name in STAGES]
    workspace.write("files", FILES.empty())
    assert status(workspace)[0] == ("scan", "done", "0 files, 0 classes, 0 unreadable")


def test_files_that_came_since_the_scan_make_it_stale(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (20, 20), "red").save(folder / "a.png")
    curate.scan(folder)
    workspace = Workspace(folder)
    assert status(workspace)[0][1] == "done"
    Image.new("RGB", (20, 20), "blue").save(folder / "b.png")
    assert status(workspace)[0] == ("scan", "stale", "1 files, 0 classes, 0 unreadable; since then 1 new")
