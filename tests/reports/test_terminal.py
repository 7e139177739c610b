import inspect
import json
import os
import subprocess
import sys

import pytest

from reports.terminal import Terminal, command, printable, size_in_words


class MendableError(Exception):
    exit_code = 4
    message = "x.png: is gone."
    remedy = "Run `curate run DIR`."


def options(json: bool = False, quiet: bool = False, yes: bool = False) -> None:
    """Shared."""


def made(function):
    return command(options, lambda terminal, **_: terminal)(function)


def test_json_mode_prints_one_object_and_no_sentence(capsys):
    def work(terminal: Terminal) -> None:
        terminal.say("hello")
        terminal.table(["a"], [(1,)])
        terminal.result(files=3)

    made(work)(json=True, quiet=False, yes=False)
    out, _ = capsys.readouterr()
    assert json.loads(out) == {"files": 3}


def test_quiet_mode_prints_nothing(capsys):
    made(lambda terminal: terminal.say("hello"))(json=False, quiet=True, yes=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("columns", [None, "60"])
def test_into_a_file_names_stay_whole_unless_a_width_is_asked_for(columns):
    name = "x" * 200 + ".png"
    code = f"from reports.terminal import Terminal; Terminal().table(['file'], [({name!r},)])"
    # given whole: readline, which pytest loads, sets COLUMNS behind Python's back
    env = {key: value for key, value in os.environ.items() if key != "COLUMNS"}
    env |= {"COLUMNS": columns} if columns else {}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert (name in done.stdout) == (columns is None)


def test_an_interrupt_inside_exec_leaves_with_130_too(tmp_path):
    program = """
from reports.terminal import Terminal
with Terminal().guard() as terminal:
    terminal.warn("all that the error's message needs is imported here")
    exec("raise KeyboardInterrupt")
"""
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run([sys.executable, "-m", "program"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 130


def test_an_interrupt_that_a_destructor_swallowed_is_not_forgotten():
    program = """
import os, signal, sys
from reports.terminal import Terminal
class Odd:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass
with Terminal().guard() as terminal, terminal.progress("Working") as progress:
    odd = Odd()
    del odd
    progress(1, 2)
    print("went on")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "went on" not in done.stdout


@pytest.mark.parametrize(
    ("error", "code"), [(MendableError(), 4), (KeyboardInterrupt(), 130), (ZeroDivisionError("x"), 1)]
)
def test_errors_end_with_their_exit_code(capsys, error, code):
    def work(terminal: Terminal) -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        made(work)(json=False, quiet=False, yes=False)
    assert end.value.code == code
    _, err = capsys.readouterr()
    if code == 4:
        assert "error: x.png: is gone." in err
        assert "Run `curate run DIR`." in err
        assert "Traceback" not in err
    if code == 1:
        assert "this is a bug" in err
        assert "report it" in err


def test_json_mode_tells_errors_as_json(capsys):
    def work(terminal: Terminal) -> None:
        raise MendableError

    with pytest.raises(SystemExit):
        made(work)(json=True, quiet=False, yes=False)
    assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 4


def test_a_command_has_its_own_and_the_shared_options():
    def work(terminal: Terminal, near: float = 0.5) -> None:
        """Doc."""

    assert list(inspect.signature(made(work)).parameters) == ["near", "json", "quiet", "yes"]


def test_file_names_cannot_carry_control_characters_or_markup(capsys):
    Terminal().say("[bold]x[/bold] :dog: \x1b[2J \udce9")
    assert capsys.readouterr().out == "[bold]x[/bold] :dog: \\x1b[2J \\udce9\n"
    assert printable("a\nb") == "a\nb"


def test_nobody_to_ask_means_no(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert not Terminal().confirm("Move?")
    assert Terminal(yes=True).confirm("Move?")


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (3400, "3.4 kB"), (5e13, "50.0 TB")]
)
def test_sizes_in_words(size, words):
    assert size_in_words(size) == words


def test_work_goes_on_where_the_reader_of_the_pipe_has_gone(tmp_path):
    program = """
import pathlib, sys
from reports.terminal import Terminal
with Terminal().guard() as terminal:
    for number in range(2000):
        terminal.say("a line that fills the pipe, and another one, and another one")
    terminal.table(["number"], [(1,)])
    pathlib.Path("written").touch()
"""
    (tmp_path / "program.py").write_text(program)
    with subprocess.Popen(
        [sys.executable, "-m", "program"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert (tmp_path / "written").exists()
