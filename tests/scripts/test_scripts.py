"""All of scripts/: what is wired in every one, and, slowly, that each works and ends when told."""

import ast
import importlib.util
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import optbench
from optbench.rundir import RunDir

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "scripts").rglob("*.py"))
PATIENCE = 300
"""Seconds in which a process does what it does in a few; only what hangs takes as long."""


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def guarded(path: Path) -> list[ast.stmt]:
    """What a file does when it is the program."""
    blocks = [node for node in tree(path).body if isinstance(node, ast.If)]
    return [s for node in blocks if "__main__" in ast.dump(node.test) for s in node.body]


def called(nodes: list[ast.stmt]) -> set[str]:
    calls = [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Call)]
    return {call.func.id for call in calls if isinstance(call.func, ast.Name)}


def imported(path: Path) -> set[str]:
    """The modules whose names a file imports from, and the names: one of them may be a module."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def name(path: Path) -> str:
    return str(path.relative_to(ROOT / "scripts"))


SCRIPTS = [path for path in FILES if guarded(path)]
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=name)
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


def test_each_file_is_a_script_or_used_by_one() -> None:
    used = {module for path in FILES for module in imported(path)}
    parts = [path for path in FILES if path not in SCRIPTS and path.name != "__init__.py"]
    modules = {path: (path.stem, f"{path.parent.name}.{path.stem}") for path in parts}
    assert [name(path) for path in parts if not used & set(modules[path])] == []
    assert len(SCRIPTS) > 10


@each_script
def test_a_script_has_the_common_command_line(script: Path) -> None:
    """--help and --quick are its parser's, a prompt end at signals `start`'s."""
    assert "common.parser" in imported(script) and "common.start" in imported(script)
    assert "parser" in called(tree(script).body)
    assert "start" in called(guarded(script))
    text = script.read_text(encoding="utf-8")
    assert "signal.signal" not in text and "KeyboardInterrupt" not in text


def test_mypy_and_ruff_look_at_scripts() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert "scripts" in tools["mypy"]["files"]
    assert "exclude" not in tools["mypy"] and "exclude" not in tools["ruff"]


@pytest.fixture
def common() -> ModuleType:
    """What scripts share, fresh."""
    spec = importlib.util.spec_from_file_location("common", ROOT / "scripts" / "common.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["common"] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has optbench train nothing, and end in a state."""

    def ends_in(state: str) -> None:
        def train(*overrides: str, **more: object) -> optbench.RunResult:
            return optbench.RunResult(RunDir(Path("here")), state, 3, " ".join(overrides))

        monkeypatch.setattr(optbench, "train", train)
        monkeypatch.setattr(optbench, "sweep", lambda *words, **more: [train(*words, **more)])

    return ends_in


def test_a_signal_that_python_swallowed_ends_the_script_before_the_next_run(
    common: ModuleType, trained: Callable[[str], None]
) -> None:
    trained("finished")
    common._ended_by.append(signal.SIGTERM)
    for run in (common.train, common.sweep):
        with pytest.raises(SystemExit) as ended:
            run("steps=1")
        assert ended.value.code == 128 + signal.SIGTERM


SIGNALLED = {
    "dropped by Python": "value = Dropped(); del value; time.sleep(60)",
    "caught by the code of others": """
try:
    os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)
except BaseException:
    pass
time.sleep(60)""",
    "made another error": """
try:
    os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)
except BaseException as error:
    raise ValueError("wrong") from error""",
    "made a result": """
try:
    os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)
except BaseException:
    pass""",
    "cleaned up after, slowly": """
try:
    os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)
finally:
    time.sleep(4 * common.EVERY); open("cleaned", "x").close()""",
}
PROGRAM = """
import os, signal, sys, time
sys.path.insert(0, {path!r})
import common

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)

def script():
    exec({code!r})

common.start(script)
"""


@linux
@pytest.mark.parametrize("code", SIGNALLED.values(), ids=SIGNALLED)
def test_a_script_ends_by_the_signal_whatever_becomes_of_the_exception(
    code: str, tmp_path: Path
) -> None:
    program = PROGRAM.format(path=str(ROOT / "scripts"), code=code)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=PATIENCE)
    assert done.returncode == 128 + signal.SIGTERM
    assert ("open(" in code) == (tmp_path / "cleaned").exists()


def test_what_has_to_succeed_says_what_went_wrong(
    common: ModuleType, trained: Callable[[str], None]
) -> None:
    trained("diverged")
    with pytest.raises(SystemExit, match="here: diverged: steps=1"):
        common.succeeded(common.train("steps=1"))
    trained("finished")
    results = [common.train("steps=1"), *common.sweep("seed=0,1")]
    assert common.succeeded(*results) == [result.run for result in results]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_scripts_use_what_optbench_shows_to_programs(path: Path) -> None:
    """The command line is for who types it, and for what measures how long that takes."""
    within = ("bench/first_step.py", "bench/first_step_bare.py")
    used = "optbench.cli.main" in imported(path)
    assert not used or name(path) in within
    assert "contextlib.redirect_stdout" not in imported(path)


def environment(folder: Path) -> dict[str, str]:
    """With a folder for temporary files that can be looked at, and the suite's optbench."""
    (folder / "tmp").mkdir()
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "TMPDIR": str(folder / "tmp"), "PYTHONPATH": path}


def kept() -> dict[str, float]:
    """The files that a script could write to by mistake, with their times."""
    places = ("docs", "configs", "optbench", "scripts", "runs")
    files = [path for place in places for path in (ROOT / place).rglob("*") if path.is_file()]
    return {str(p): p.stat().st_mtime for p in files if p.suffix != ".pyc"}


def left_in(folder: Path) -> list[str]:
    """What is there, but for torch's folder of what it compiled."""
    found = [path.relative_to(folder) for path in folder.rglob("*")]
    return [str(path) for path in found if "torchinductor" not in str(path)]


@pytest.mark.slow
@each_script
def test_a_script_works_quickly(script: Path, tmp_path: Path) -> None:
    before = kept()
    done = subprocess.run(
        [sys.executable, str(script), "--quick"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        encoding="utf-8",
        timeout=2 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_in(tmp_path) == ["tmp"]
    assert kept() == before


LONG = {
    "leaderboard.py": ["--quick"],
    "pictures.py": ["--quick"],
    "zoo_table.py": ["--out", "zoo.csv"],
    "bench/first_step_bare.py": ["--quick"],
    "bench/first_step.py": ["--quick"],
    "bench/trainer_overhead.py": ["ddp", "--quick"],
}
"""What some are told; the others go on for minutes by themselves."""

SHORT = ("bench/first_step_bare.py", "bench/first_step.py", "bench/cuda_graph.py")
"""These may have ended before the signal comes."""

WITH_CHILDREN = ("pictures.py", "bench/startup.py", "bench/trainer_overhead.py")


def catches(process: int, number: int) -> bool:
    """Whether a process has a handler for a signal: a script, that its imports are done."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    mask = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    return bool(int(mask, 16) >> (number - 1) & 1)


def session(leader: int) -> list[int]:
    """The processes of a session that are not dead."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, number = (
                path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:4]
            )
        except OSError:
            continue
        if int(number) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


def until(true: Callable[[], bool]) -> None:
    """Waits for what comes soon, however busy the machine is."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def ended(script: Path, folder: Path, number: int, ready: Callable[[int], bool]) -> int:
    """A script's exit code when a signal comes as soon as it is ready; nothing of it goes on."""
    command = [sys.executable, str(script), *LONG.get(name(script), [])]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(folder),
            start_new_session=True,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: ready(process.pid) or process.poll() is not None)
        process.send_signal(number)
        code = process.wait(timeout=PATIENCE)
        until(lambda: session(process.pid) == [])
    finally:
        for child in session(process.pid):
            os.kill(child, signal.SIGKILL)
        process.wait()
    return code


def signalled() -> list[tuple[Path, int]]:
    """Each script with a signal, every other with Ctrl-C's; those with children get both.

    One handler takes all signals, and no script has its own: what may differ is the script.
    """
    alone = [path for path in SCRIPTS if name(path) not in WITH_CHILDREN]
    pairs = [(path, [signal.SIGTERM, signal.SIGINT][i % 2]) for i, path in enumerate(alone)]
    return pairs + [
        (path, number)
        for path in SCRIPTS
        if name(path) in WITH_CHILDREN
        for number in (signal.SIGTERM, signal.SIGINT)
    ]


@linux
@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "number"), signalled(), ids=lambda v: name(v) if isinstance(v, Path) else v.name
)
def test_a_script_ends_at_a_signal(script: Path, number: int, tmp_path: Path) -> None:
    code = ended(script, tmp_path, number, lambda process: catches(process, signal.SIGTERM))
    by_signal = [128 + number, -number]
    assert code in ([0, *by_signal] if name(script) in SHORT else by_signal)
    assert left_in(tmp_path / "tmp") == []


@linux
@pytest.mark.slow
@pytest.mark.parametrize("script", [p for p in SCRIPTS if name(p) in WITH_CHILDREN], ids=name)
def test_a_script_takes_its_children_with_it(script: Path, tmp_path: Path) -> None:
    def has_one(process: int) -> bool:
        """Also imports start processes, before the script does anything of its own."""
        return catches(process, signal.SIGTERM) and len(session(process)) > 1

    code = ended(script, tmp_path, signal.SIGTERM, has_one)
    assert code == 128 + signal.SIGTERM, (tmp_path / "said").read_text(encoding="utf-8")
    assert left_in(tmp_path / "tmp") == []


@linux
@pytest.mark.slow
def test_a_script_ends_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """optbench takes the signal then, and ends one run by it."""
    script = ROOT / "scripts" / "train_every_optimizer.py"
    said = tmp_path / "said"
    code = ended(script, tmp_path, signal.SIGTERM, lambda process: said.stat().st_size > 0)
    assert code == 128 + signal.SIGTERM
    assert left_in(tmp_path / "tmp") == []
