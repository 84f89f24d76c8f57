"""What is said, and to whom; who may write to a run's log."""

import ast
import errno
import fcntl
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from optbench.console import OUT, print_error, print_lines, print_table
from optbench.monitor.terminal import shorter, shortest
from optbench.plots.terminal import ascii_only
from optbench.runs import lock
from optbench.runs.lock import Busy
from optbench.runs.log import Log

PACKAGE = Path(lock.__file__).parents[1]
FORGED = "x\x1b[31m\n2026-01-01 finished\u202e"
SHOWN = r"x\x1b[31m\n2026-01-01 finished\u202e"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    monkeypatch.setattr(lock, "_warned", False)
    made = Log(quiet=False)
    yield made
    made.close()


def test_a_line_is_one_line_in_which_nothing_is_obeyed(
    log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log.open(tmp_path / "log.txt")
    log.say(FORGED)
    log.warn(FORGED)
    log.note(FORGED)
    log.close()
    said = (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 1)[1] for line in said] == [SHOWN, f"warning: {SHOWN}", SHOWN]
    assert capsys.readouterr().err.splitlines() == [SHOWN, f"warning: {SHOWN}"]


def test_a_log_that_tells_nobody_makes_no_console(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for silent in (Log(tells=False), Log(quiet=True)):
        silent.warn("told")
        assert silent.live is None
        assert "console" not in vars(silent), "each run of a worker process would make one"
    assert capsys.readouterr().err == ""


def test_a_narrow_terminal_gets_the_longest_form_that_fits(
    log: Log, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "step 1000  epoch 47.62  train/loss 0.01747  val/loss 0.1059  val/accuracy 0.9722  best"
    monkeypatch.setenv("COLUMNS", "80")
    log.open(tmp_path / "log.txt")
    log.say(line, shorter(line), shortest(line))
    log.close()
    assert capsys.readouterr().err == (
        "step 1000  train/loss 0.01747  val/loss 0.1059  accuracy 0.9722  best\n"
    )
    assert line in (tmp_path / "log.txt").read_text(encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "85")
    log.say(line, shorter(line), shortest(line))
    assert capsys.readouterr().err == f"{shorter(line)}\n"


def test_a_traceback_keeps_its_lines(log: Log, tmp_path: Path) -> None:
    log.open(tmp_path / "log.txt")
    log.note_lines("Traceback:\n  bad\x1b name \udcef\n")
    log.close()
    text = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert text.partition(" ")[2] == "Traceback:\n  bad\\x1b name \\xef\n\n"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_table_shows_what_is_in_its_cells(
    terminal: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=200, color_system=None)
    print_table("t\x1bitle", ["h\x9bead"], [[FORGED]], console)
    said = out.getvalue() if terminal else capsys.readouterr().out
    assert all(shown in said for shown in (r"t\x1bitle", r"h\x9bead", SHOWN))
    assert FORGED[:2] not in said


def test_lines_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines(FORGED)
    print_error(FORGED)
    said = capsys.readouterr()
    assert said.out == SHOWN.replace(r"\n", "\n") + "\n"
    assert said.err == SHOWN + "\n"


def test_nothing_else_prints() -> None:
    """All that is printed goes through `console.py`, which escapes it."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and path.name != "console.py":
                name = ast.unparse(node.func)
                if name == "print" or name.endswith(("stdout.write", "stderr.write")):
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []


def locked_with(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, how: int) -> None:
        raise OSError(number, "what the system says")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.parametrize(
    "name", ["ENOLCK", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "EINVAL", "EBADF", "EIO"]
)
def test_a_file_system_without_locks_is_warned_of_once(
    name: str,
    log: Log,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    locked_with(getattr(errno, name), monkeypatch)
    for number in "12":
        log.open(tmp_path / f"{number}.txt")
        log.say("goes on")
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line != "goes on"] == [said[0]]
    assert "does not lock files (what the system says)" in said[0]
    assert (tmp_path / "2.txt").read_text(encoding="utf-8").endswith("goes on\n")


@pytest.mark.parametrize("name", ["EAGAIN", "EWOULDBLOCK", "EACCES"])
def test_a_lock_that_another_has_is_what_these_say(
    name: str, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked_with(getattr(errno, name), monkeypatch)
    with pytest.raises(Busy, match="another process is at this run"):
        log.open(tmp_path / "log.txt")


def test_a_log_that_can_not_be_looked_at_is_not_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    assert not lock.is_locked(tmp_path / "log.txt")
    assert not (tmp_path / "log.txt").exists()
    monkeypatch.setattr(Path, "open", refuse)
    assert not lock.is_locked(tmp_path / "log.txt")


def test_a_log_that_another_process_has_is_left_alone(log: Log, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    other = Log(quiet=False)
    other.open(path)
    other.note("mine")
    before = path.read_bytes()
    with pytest.raises(Busy):
        log.open(path)
    log.note("not mine")
    assert path.read_bytes() == before
    other.close()
    log.open(path)
    log.open(path)  # it has it already
    log.note("now mine")
    assert path.read_text(encoding="utf-8").endswith("now mine\n")


class Gone(io.StringIO):
    """A terminal that was closed, or a pipe that nobody reads."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, "gone")

    def flush(self) -> None:
        self.write("")


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO])
def test_what_nobody_reads_stops_nothing(
    number: int, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Gone(number))
    monkeypatch.setattr(sys, "stdout", Gone(number))
    log.open(tmp_path / "log.txt")
    log.say("a line")
    log.warn("another")
    log.console.print("what a progress bar draws")
    print_lines("lines")
    print_error("an error")
    print_table("", ["head"], [["cell"]])
    said = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert "a line" in said and "warning: another" in said


def test_a_disk_that_is_full_is_no_reader_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Gone(errno.ENOSPC))
    with pytest.raises(OSError, match="gone"):
        print_lines("lines")


def test_streams_that_were_closed_before_the_start(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    print_lines("lines")
    print_table("", ["head"], [["cell"]])
    log.say("a line")
    assert not ascii_only(OUT)
