"""`optbench pbt`: members copy one another, and no kill changes what comes out."""

from __future__ import annotations

import math
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from optbench.executors import serial
from optbench.executors.base import WorkerDied
from optbench.files import load_yaml
from optbench.rundir import RunDir
from optbench.runs import branch

from .program import SMALL, Answer, assert_same_bits, call, final_state, left_in, records

LR = "optimizer.lr: {log: [1e-3, 0.5]}"
LINE = f"pbt {SMALL} monitor.every=1 members=4 hydra.sweep.dir=study"
OF_ADAMW = f"'search={{{LR}, optimizer.betas.0: {{one_minus_log: [0.02, 0.5]}}}}'"
ADAMW = f"{LINE} optimizer=adamw schedule=cosine steps=12 rounds=3 {OF_ADAMW}"


def at(number: int, member: int, folder: str = "study") -> RunDir:
    return RunDir(Path(folder) / f"{number}-{member}")


def parent_of(run: RunDir) -> str:
    """Which run a member goes on from, by its log."""
    text = run.log.read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if " a branch of " in line]
    return Path(line.split(" a branch of ")[1].split(" at step ")[0]).name


def ancestors(run: RunDir) -> list[RunDir]:
    """A member's line, the first one first."""
    number = run.path.name.partition("-")[0]
    if number == "0":
        return [run]
    return [*ancestors(RunDir(run.path.parent / parent_of(run))), run]


@pytest.fixture(scope="module")
def answer(shared_place: Path) -> Answer:
    return call(ADAMW)


@pytest.fixture
def study(answer: Answer, shared_place: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    monkeypatch.chdir(shared_place)
    return answer


def test_each_round_goes_on_from_the_one_before(study: Answer) -> None:
    assert study.code == 0, study.err
    for number, step in enumerate((4, 8, 12)):
        for m in range(4):
            status = at(number, m).read_status()
            state = "finished" if number == 2 else "stopped_early"
            assert (status["state"], status["step"]) == (state, step)
            assert records(at(number, m), "val")[-1]["step"] == step
            assert "test/loss" not in at(number, m).read_summary()["final"]
    copies = [at(n, m) for n in (1, 2) for m in range(4) if parent_of(at(n, m))[2] != str(m)]
    assert len(copies) == 2
    told = study.out.replace(command_in(study.out), "")
    assert max(map(len, told.splitlines())) <= 80
    best = max(at(2, m).read_summary()["final"]["val/accuracy"] for m in range(4))
    row = study.out.splitlines()[2].split()
    assert float(row[3]) == pytest.approx(best, abs=1e-4)


def rates_are_in_use(multiplier: Callable[[int], float], rounds: int = 3, length: int = 4) -> None:
    """The record of each step has the rate of whoever took it, and copies have others."""
    changed = 0
    for m in range(4):
        line = ancestors(at(rounds - 1, m))
        lrs = [load_yaml(run.config)["optimizer"]["lr"] for run in line]
        changed += len(set(lrs)) > 1
        own = [record for record in records(line[-1], "train") if "lr/model" in record]
        assert [record["step"] for record in own] == list(range(1, rounds * length + 1))
        for record in own:
            step = record["step"] - 1
            assert record["lr/model"] == pytest.approx(lrs[step // length] * multiplier(step))
    assert changed


def cosine(step: int) -> float:
    return (1 + math.cos(math.pi * step / 12)) / 2


def test_the_new_rate_is_in_use_from_the_first_step(study: Answer) -> None:
    rates_are_in_use(cosine)


@pytest.mark.parametrize(
    "more",
    [
        "optimizer=sgd optimizer.momentum=0.9 schedule=cosine",
        "optimizer=sgd wrapper=lookahead schedule=cosine",
        "optimizer=lion schedule=cosine",
    ],
)
def test_the_new_rate_is_in_use_of_others_too(more: str) -> None:
    found = call(f"{LINE} {more} steps=12 rounds=3 'search={{{LR}}}'")
    assert found.code == 0, found.err
    rates_are_in_use(cosine)


def test_weights_and_momentum_are_the_parents(kept: None) -> None:
    line = f"{LINE} optimizer=sgd optimizer.momentum=0.9 steps=10 rounds=2 'search={{{LR}}}'"
    assert call(line).code == 0
    (copy,) = [at(1, m) for m in range(4) if parent_of(at(1, m))[2] != str(m)]
    parent = at(0, int(parent_of(copy)[2]))
    lr = load_yaml(copy.config)["optimizer"]["lr"]
    assert lr != load_yaml(parent.config)["optimizer"]["lr"]
    hand = f"resume '{parent.path}' --at 5 --to hand steps=10 optimizer.lr={lr!r}"
    assert call(hand).code == 0
    assert_same_bits(final_state(copy), final_state(RunDir(Path("hand"))))
    state = final_state(copy)["state.pt"]["players"]["model"]["optimizer"]["state"]
    assert "momentum_buffer" in str(state)[:2000]


def killed_at(what: str, count: int, line: str) -> int:
    """Do a line in a process that is killed at the n-th of its writes of a status, or so."""
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1]
    try:
        owners: dict[str, Any] = {"write_status": RunDir, "_copy": branch, "rmtree": shutil}
        owner = owners[what]
        real, left = getattr(owner, what), [count]

        def counted(*args: Any, **more: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **more)

        setattr(owner, what, counted)
        call(line)
    finally:
        os._exit(0)


def test_kills_change_nothing(answer: Answer, shared_place: Path) -> None:
    kills = [("write_status", 2), ("write_status", 7), ("write_status", 12), ("_copy", 2)]
    kills += [("_copy", 9), ("write_status", 4), ("write_status", 3), ("_copy", 1)]
    for number, (what, count) in enumerate(kills):
        died = killed_at(what, count, "resume study" if number else ADAMW)
        assert died == signal.SIGKILL, f"{what} {count}: nothing was killed"
    ended = call("resume study")
    assert ended.code == 0, ended.err
    whole = str(shared_place / "study")
    for m in range(4):
        assert_same_bits(final_state(at(2, m)), final_state(at(2, m, whole)))
        assert parent_of(at(2, m)) == parent_of(at(2, m, whole))
    assert ended.out.split("  optbench train")[0] == answer.out.split("  optbench train")[0]


def test_a_run_that_was_killed_after_its_last_checkpoint_takes_no_step_more(
    kept: None,
) -> None:
    assert call(ADAMW).code == 0
    before = final_state(at(2, 0))
    run = at(1, 0)
    for later in ("2-0", "2-1", "2-2", "2-3"):
        shutil.rmtree(Path("study") / later)
    (run.path / "summary.json").unlink()
    run.write_status("running", 8, checkpoint=8)
    assert call("resume study").code == 0
    assert (run.read_status()["state"], run.read_status()["step"]) == ("stopped_early", 8)
    assert_same_bits(final_state(at(2, 0)), before)


def test_members_that_diverge_are_replaced() -> None:
    wild = "'search={optimizer.lr: {choice: [0.01, 1e30]}}'"
    found = call(f"{LINE} optimizer=sgd steps=8 rounds=2 {wild} seed=1")
    assert found.code == 0, found.err
    states = [at(0, m).state for m in range(4)]
    assert set(states) == {"diverged", "stopped_early"}
    for m, state in enumerate(states):
        if state == "diverged":
            assert at(0, int(parent_of(at(1, m))[2])).state == "stopped_early"


def test_where_none_is_left_a_line_says_so() -> None:
    wild = "'search={optimizer.lr: {log: [1e30, 1e35]}}'"
    found = call(f"{LINE} optimizer=sgd steps=8 rounds=2 {wild}")
    assert found.code == 1
    (line,) = [line for line in found.err.splitlines() if "no member is left" in line]
    assert line.startswith("optbench: no member is left after round 1 of 2; 0-3 diverged: ")
    assert "lost" in found.out
    again = call("resume study")
    assert again.code == 1 and "no member is left" in again.err


@pytest.mark.slow
def test_where_all_have_failed_they_are_tried_again_on_going_on(kept: None) -> None:
    """What failed may be mended meanwhile; of one that diverged nothing is expected."""
    assert call(ADAMW).code == 0
    table = call("resume study").out
    for later in Path("study").glob("2-*"):
        shutil.rmtree(later)
    for m in range(4):
        (at(1, m).path / "summary.json").unlink()
        at(1, m).write_status("failed", 8, "KeyError: 'x'", checkpoint=8)
    again = call("resume study")
    assert (again.code, again.out) == (0, table)


def test_one_whose_process_died_twice_is_replaced_whoever_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its folder says so, or who goes on would try it once more."""
    real = serial.Serial.submit

    def dying(self: Any, spec: Any, folder: RunDir, *args: Any, **more: Any) -> Any:
        if folder.path.name == "0-1":
            folder.path.mkdir(exist_ok=True)
            future: Future[Any] = Future()
            future.set_exception(WorkerDied("its process ended by SIGKILL"))
            return future
        return real(self, spec, folder, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(serial.Serial, "submit", dying)
        found = call(ADAMW)
    assert found.code == 0, found.err
    assert at(0, 1).read_status()["message"] == "its process ended by SIGKILL, again"
    assert at(0, 1).state == "failed"
    assert parent_of(at(1, 1)) != "0-1"
    again = call("resume study")
    assert (again.code, again.out) == (0, found.out)


def test_it_goes_on_as_planned() -> None:
    line = f"{LINE} optimizer=sgd steps=4 rounds=2 members=2 'search={{{LR}}}'"
    assert call(line).code == 0
    refused = call("resume study steps=9")
    assert refused.code == 2
    assert refused.err.startswith("optbench: steps=9: a population goes on as planned")
    ended = call("resume study")
    assert ended.code == 0 and "resume study" not in ended.out
    branch_of_all = call("resume study --at 2 --to other")
    assert branch_of_all.code == 2 and not Path("other").exists()
    assert "--at: of one run" in branch_of_all.err
    plan = Path("study/population.yaml")
    text = plan.read_text(encoding="utf-8")
    plan.write_text(text.replace("members: 2", "members: 3"), encoding="utf-8")
    assert "not the one that the study was begun with here" in call("resume study").err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("members=1", "members=1: not valid; expected a whole number from 2"),
        ("rounds=0", "rounds=0: not valid; expected a whole number from 1"),
        ("rounds=9", "rounds=9: more than the 6 steps of a run"),
        ("quantile=0", "quantile=0: not valid; expected a number above 0, at most 0.5"),
        ("quantile=0.6", "quantile=0.6: not valid; expected a number above 0, at most 0.5"),
        ("resample=1.5", "resample=1.5: not valid; expected a number from 0 to 1"),
        ("resample=often", "resample=often: not valid; expected a number from 0 to 1"),
        ("dataset.val_fraction=0", "pbt: there is no validation set to compare by"),
        ("early_stopping.patience=3", "early_stopping.patience=3: not with pbt"),
        ("metric=test/loss", "metric=test/loss: expected such as val/loss"),
        ("'search={optimizer.lrr: {log: [1, 2]}}'", "search: optimizer.lrr: no such key"),
        ("'search={batch_size: {int: [1, 9]}}'", "search: batch_size: can't change when a run"),
        ("'search={model.depth: {int: [1, 3]}}'", "search: model.depth: "),
        ("'search={steps: {int: [1, 9]}}'", "search: steps: "),
        ("space=lr", "space=lr: beside search={...}; one of them"),
        ("optimizer=rprop", "search: optimizer.lr: optimizer=rprop reads it only once"),
        ("optimizer=pso", "search: optimizer.lr: PSO has no learning rate"),
        ("executor=mars", "executor=mars: no such executor"),
    ],
)
def test_bad_input_is_a_line_and_leaves_nothing(more: str, said: str) -> None:
    own = "" if "search=" in more else f"'search={{{LR}}}'"
    line = f"{LINE} optimizer=sgd steps=6 {own}"
    line = line.replace("optimizer=sgd", "") if "optimizer=" in more else line
    found = call(f"{line.replace(' members=4', '')} {'rounds=3' * ('rounds' not in more)} {more}")
    assert found.code == 2
    assert found.err.startswith(f"optbench: {said}")
    assert found.err.count("\n") == 1
    assert left_in(Path()) == []


def test_a_space_has_to_be_named() -> None:
    found = call(f"{LINE} optimizer=sgd steps=6")
    assert (found.code, found.err[:27]) == (2, "optbench: pbt: which space?")


def command_in(out: str) -> str:
    (line,) = [line for line in out.splitlines() if line.startswith("  optbench train")]
    return line.strip().removeprefix("optbench ")
