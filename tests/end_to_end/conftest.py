"""What the tests of whole programs share: one finished `curate run`, made once for all test processes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock


class Curated(NamedTuple):
    """A folder that `curate run` has been through: not to be changed; `printed` is what the run printed."""

    folder: Path
    workspace: Path
    printed: str


def tree(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Size, time and permissions of everything below a folder."""
    return {
        str(p.relative_to(folder)): (p.stat().st_size, p.stat().st_mtime_ns, p.stat().st_mode)
        for p in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="session")
def curated(demo_made: Path, tmp_path_factory: pytest.TempPathFactory) -> Curated:
    """A finished run on the demo set's `train`, with this test process's own copy of the workspace."""
    made, printed = demo_made.with_name("curated"), demo_made.with_name("curated.json")
    folder = demo_made / "train"
    with FileLock(demo_made.with_name("curated.lock")):
        if not printed.exists():
            before = tree(folder)
            command = [sys.executable, "-m", "curate", "run", str(folder), "--workspace", str(made)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
            assert done.returncode == 0, done.stderr
            assert tree(folder) == before, "`curate run` touched the user's folder"
            printed.write_text(json.dumps(done.stdout), encoding="utf-8")
    own = tmp_path_factory.mktemp("curated") / "workspace"
    shutil.copytree(made, own)
    return Curated(folder, own, json.loads(printed.read_text(encoding="utf-8")).replace(str(made), str(own)))


@pytest.fixture
def curated_copy(demo_copy: Path, curated: Curated) -> Path:
    """A folder with a finished run beside it, for a test that changes either."""
    folder = demo_copy / "train"
    shutil.copytree(curated.workspace, folder.with_name("train.curate"))
    return folder
