"""What the README shows runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def test_the_python_examples_run(demo_copy, tmp_path):
    text = README.read_text(encoding="utf-8")
    cleaning, training = re.findall(r"<!-- example -->\n```python\n(.*?)```", text, re.DOTALL)
    assert '"training.minutes=15"' in training
    short = training.replace('"training.minutes=15"', '"training.epochs=1", "data.size=32", "model.width=8"')
    (demo_copy / "train").rename(tmp_path / "pictures")
    (demo_copy / "test").rename(tmp_path / "test")
    done = subprocess.run(
        [sys.executable, "-c", cleaning + short],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "keep" in done.stdout
    assert "macro avg" in done.stdout
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
