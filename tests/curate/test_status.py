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
