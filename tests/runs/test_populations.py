"""Which runs of a sweep are trained at once, and what is said where none is."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.compose.composer import hydra_session
from optbench.errors import UserError
from optbench.runs import populations as module
from optbench.runs.populations import Population, populations
from tests.cli.program import call, left_in

PLAIN = "threads=1 device=cpu dataset=digits steps=5"
SMALL = f"{PLAIN} model.hidden=[8]"


def planned(*runs: str, all_have: str = SMALL) -> tuple[list[Population], list[str]]:
    """The populations of runs with these overrides, and what was said."""
    said: list[str] = []
    with hydra_session() as composer:
        lists = [[*all_have.split(), *run.split()] for run in runs]
        specs = [composer.spec(composer.compose(lines), lines) for lines in lists]
        return populations(specs, said.append), said


def seeds(count: int, more: str = "") -> list[str]:
    return [f"seed={n} {more}" for n in range(count)]


def numbers(found: list[Population]) -> list[tuple[int, ...]]:
    return [each.numbers for each in found]


def test_runs_of_one_shape_are_trained_at_once_from_eight_on() -> None:
    assert numbers(planned(*seeds(8))[0]) == [tuple(range(8))]
    assert planned(*seeds(7)) == ([], [])


def test_of_a_grid_each_shape_is_a_population() -> None:
    runs = [
        f"seed={s} model.hidden=[{w}] optimizer.lr={lr}"
        for w in (8, 16)
        for lr in (0.1, 0.2)
        for s in range(4)
    ]
    found, said = planned(*runs)
    assert numbers(found) == [tuple(range(8)), tuple(range(8, 16))] and not said


def test_a_number_is_how_many_at_most() -> None:
    found, _ = planned(*seeds(7, "sweep.population=3"))
    assert numbers(found) == [(0, 1), (2, 3), (4, 5, 6)]


def test_off_is_none() -> None:
    assert planned(*seeds(9, "sweep.population=off")) == ([], [])


def test_one_that_drops_is_known() -> None:
    (found,), _ = planned(*seeds(8, "model.dropout=0.5"))
    assert found.draws


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("optimizer=lbfgs", "LBFGS asks for more than gradients"),
        ("accumulate=2", "accumulate=2 can't be done for many at once"),
        ("nonfinite=skip", "nonfinite=skip can't be done for many at once"),
        ("wrapper=sam", "wrapper=optbench.optim.wrappers.sam.SAM can't be done for many at once"),
        ("probe.every=2", "probe.every=2 can't be done for many at once"),
    ],
)
def test_what_can_not_go_is_done_one_by_one_and_told(more: str, why: str) -> None:
    found, said = planned(*seeds(8, more))
    assert found == [] and said == [f"8 runs of one shape are done one by one: {why}"]


def test_what_fills_the_processor_is_done_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILLS_A_CPU", 1000.0)
    monkeypatch.setattr(module, "FILLS_IT_AT_ONCE", 1000.0)
    found, said = planned(*seeds(8))
    assert found == [] and "keep a processor busy (sweep.population=8 does 8 at once)" in said[0]
    assert planned(*seeds(8, "sweep.population=8"))[0]


@pytest.mark.parametrize(
    ("line", "threads", "at_once"),
    [
        ("steps=210", 1, True),
        ("steps=210", 2, False),  # by torch's library
        ("steps=209", 1, False),  # 199 whole batches, too few to note the operations
        ("steps=210 model.batch_norm=true", 1, False),  # not the same in each step
        ("steps=210 model=2c2d", 1, False),  # convolutions
    ],
)
def test_faster_products_leave_the_processor_room_for_many(
    line: str, threads: int, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from optbench.training.together import openblas

    monkeypatch.setattr(openblas, "library", lambda: object())
    monkeypatch.setattr(module, "FILLS_A_CPU", 1000.0)
    found, _ = planned(*seeds(8, f"{line} threads={threads}"), all_have=PLAIN)
    assert bool(found) == at_once


def test_many_parameters_fill_it_by_faster_products_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from optbench.training.together import openblas

    monkeypatch.setattr(openblas, "library", lambda: object())
    monkeypatch.setattr(module, "FILLS_A_CPU", 1000.0)
    numbers_of_one = 64 * 8 + 8 + 8 * 10 + 10
    for limit, at_once in ((numbers_of_one, True), (numbers_of_one - 1, False)):
        monkeypatch.setattr(module, "FEW_PARAMETERS", limit)
        assert bool(planned(*seeds(8, "steps=210"))[0]) == at_once


def test_as_many_at_once_as_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from optbench.training import room

    monkeypatch.setattr(room, "free_bytes", lambda device: 400_000 / module.FREE)
    found, _ = planned(*seeds(12))
    assert 1 < len(found) < 6 and sum(numbers(found), ()) == tuple(range(12))
    with pytest.raises(
        UserError, match=r"sweep.population=12: .*12 runs take .* are free; at most"
    ):
        planned(*seeds(12, "sweep.population=12"))


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("seed=0,1 sweep.population=1", "sweep.population=1: not valid; expected auto, off or"),
        ("seed=0,1 sweep.population=all", "sweep.population=all: not valid; expected auto, off"),
        ("seed=0,1 sweep.populatoin=2", "did you mean sweep.population?"),
        ("seed=0,1 sweep.population=2 optimizer=lbfgs", "LBFGS asks for more than gradients"),
        ("seed=0,1 sweep.population=2 precision=bf16", "precision=bf16 can't be done for many"),
        ("model.hidden=[4],[5] sweep.population=2", "they differ in model.hidden"),
        ("seed=0,1 sweep.population=2 executor=local", "this process trains runs at once"),
        ("seed=0 sweep.population=2", "there is one run"),
    ],
)
def test_a_number_that_can_not_be_is_refused_in_one_line(
    line: str, wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = call(f"train -m {SMALL} {line}")
    assert answer.code == 2 and wanted in answer.err
    assert answer.err.startswith("optbench: ") and len(answer.err.splitlines()) == 1
    assert left_in(tmp_path) == []
