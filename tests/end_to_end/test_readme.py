"""What the README shows runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_python_example_runs(demo_copy, tmp_path):
    code = re.search(r"<!-- example -->\n```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    (demo_copy / "train").rename(tmp_path / "pictures")
    done = subprocess.run(
        [sys.executable, "-c", code[1]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "keep" in done.stdout
    assert list((tmp_path / "clean").iterdir())


def test_every_page_that_it_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert not [link for link in links if not (README.parent / link).exists()]


@pytest.mark.parametrize("program", ["curate", "classify"])
def test_its_table_names_every_command(program):
    done = subprocess.run(
        [sys.executable, "-m", program, "--help"], capture_output=True, text=True, check=True
    )
    commands = re.findall(r"^  ([a-z-]+)  +\S", done.stdout.split("Commands:")[1], re.MULTILINE)
    assert commands
    text = README.read_text(encoding="utf-8")
    assert not [name for name in commands if f"| `{program} {name}" not in text]
