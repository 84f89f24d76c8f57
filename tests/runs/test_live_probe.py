"""probe.every: a run measures itself, and is the run that it would be without."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from training.ranks import ranks
from training.runs import (
    assert_same_bits,
    assert_same_run,
    metrics_of,
    small,
    state_of,
    train,
    whole_and_resumed,
)

from optbench.config.identity import identity
from optbench.config.reading import plain_value
from optbench.errors import UserError
from optbench.files import load_yaml
from optbench.instruments.base import Measurement
from optbench.runs.live_probe import instruments
from optbench.runs.trust import foreign

RUN = ["dataset=digits", "model.dropout=0.3", "model.batch_norm=true", "optimizer=adamw"]
RUN += ["steps=12", "checkpoint.every=4", "monitor.every=3", "eval.every=6"]
SAMPLED = "{_target_: noise_scale, examples: 20}"
PROBED = ["probe.every=3", f"probe.instruments=[alpha,norm_test,{SAMPLED}]"]


def probed(folder: Path) -> dict[int, dict[str, Any]]:
    """What was measured, by step."""
    records = [line for line in metrics_of(folder) if line["kind"] == "probe"]
    return {r["step"]: {k: v for k, v in r.items() if k.startswith("probe/")} for r in records}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that is probed, and the same killed after step 7 and resumed."""
    return whole_and_resumed(7, *RUN, *PROBED, at=tmp_path_factory.mktemp("probed"))


def test_a_probed_run_ends_with_the_same_bits(both: tuple[Path, Path], tmp_path: Path) -> None:
    whole, plain = both[0], tmp_path / "plain"
    assert train(plain, *RUN) == 0
    states = [state_of(folder) for folder in (whole, plain)]
    for state in states:
        state["state.pt"].pop("metrics")
    assert len(probed(whole)) == 4
    assert repr(states[0]["state.pt"]["progress"]) == repr(states[1]["state.pt"]["progress"])
    assert_same_bits(states[0], states[1])
    others = [line for line in metrics_of(whole) if line["kind"] != "probe"]
    assert others == metrics_of(plain)


def test_its_measurements_are_recorded_and_resume_exactly(both: tuple[Path, Path]) -> None:
    whole, resumed = both
    assert_same_run(whole, resumed)
    found = probed(whole)
    assert list(found) == [3, 6, 9, 12]
    assert {"probe/alpha", "probe/norm_test", "probe/noise_scale/trace"} <= set(found[3])
    assert found == probed(resumed)
    assert found[3] != found[6]


def test_what_it_takes_is_in_the_summary_and_in_no_training_seconds(
    both: tuple[Path, Path],
) -> None:
    told = json.loads((both[0] / "summary.json").read_text(encoding="utf-8"))
    parts = told["monitor/parts"]
    wanted = {"activations", "gradient_norms", "update_ratios", "records"}
    assert {*wanted, "probe/alpha", "probe/norm_test", "probe/noise_scale"} == set(parts)
    assert told["monitor/seconds"] == pytest.approx(sum(parts.values()))
    assert parts["probe/alpha"] + told["training_seconds"] < told["wall_seconds"]


def test_a_run_of_that_hash_is_the_same_run(both: tuple[Path, Path]) -> None:
    config = load_yaml(both[0] / "config.yaml")
    assert identity(config) == identity({**config, "probe": {"every": 0, "instruments": []}})
    before = {key: value for key, value in config.items() if key != "probe"}
    assert identity(config) == identity(before)


def test_what_cant_measure_is_left_out_once_with_its_reason(tmp_path: Path) -> None:
    words = ["dataset=copy", "model=lstm", "model.width=4", "steps=4", "eval.every=0"]
    words += ["checkpoint=none", "eval.test=false", "dataset.train_size=100", "dataset.val_size=10"]
    assert train(tmp_path / "run", *words, "probe.every=2", "probe.instruments=[economy]") == 0
    log = (tmp_path / "run" / "log.txt").read_text(encoding="utf-8")
    assert log.count("are left out: LSTM: ") == 1
    assert "probe: alpha, grad_hist_1d, inner_test, norm_test, ortho_test are left out" in log
    assert not probed(tmp_path / "run")


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of the user's with an instrument that measures once."""

    class Twice:
        name, what = "twice", "twice the step"

        def __init__(self, factor: float = 2.0) -> None:
            self.factor = factor

        def lacking(self, look: Any) -> str | None:
            return None

        def measure(self, look: Any, progress: Callable[..., None] = print) -> Measurement:
            if look.step > 4:
                raise KeyError("lost")
            return Measurement({"twice": self.factor * look.step})

    module = ModuleType("mine")
    Twice.__module__ = "mine"
    vars(module).update(Twice=Twice, Not=dict)
    monkeypatch.setitem(sys.modules, "mine", module)
    yield module


def test_numbers_of_any_kind_are_numbers_in_checkpoints(own: ModuleType, tmp_path: Path) -> None:
    def measure(self: Any, look: Any, progress: Callable[..., None] = print) -> Measurement:
        return Measurement({"one": np.float64(2.5), "two": torch.tensor(3.0)})  # type: ignore[dict-item]

    own.Twice.measure = measure
    words = [*RUN, "probe.every=2", "probe.instruments=[{_target_: mine.Twice}]"]
    whole, resumed = whole_and_resumed(7, *words, at=tmp_path)
    assert_same_run(whole, resumed)
    assert probed(whole)[12] == {"probe/one": 2.5, "probe/two": 3.0}


def test_each_player_has_instruments_of_its_own(own: ModuleType, tmp_path: Path) -> None:
    def measure(self: Any, look: Any, progress: Callable[..., None] = print) -> Measurement:
        self.factor += 1
        return Measurement({"looks": self.factor})

    own.Twice.measure = measure
    words = ["task=adversarial", "model=dcgan", "model.width=4", "dataset=digits", "steps=4"]
    words += ["batch_size=4", "probe.every=2"]
    words += ["probe.instruments=[{_target_: mine.Twice, factor: 0}]"]
    assert train(tmp_path / "run", *words) == 0
    found = probed(tmp_path / "run").values()
    assert [sorted(each.values()) for each in found] == [[1, 1], [2, 2]]


def test_an_instrument_of_the_users_own_measures_and_its_failure_keeps_to_itself(
    own: ModuleType, tmp_path: Path
) -> None:
    words = [*RUN, "probe.every=2", "probe.instruments=[{_target_: mine.Twice, factor: 3}]"]
    assert train(tmp_path / "run", *words) == 0
    assert probed(tmp_path / "run") == {2: {"probe/twice": 6.0}, 4: {"probe/twice": 12.0}}
    log = (tmp_path / "run" / "log.txt").read_text(encoding="utf-8")
    assert log.count("twice is left out: KeyError: 'lost'") == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("[econmy]", r"probe.instruments=econmy: no such instrument; did you mean economy\?"),
        ("[{_target_: mine.Not}]", "an object of dict has no lacking"),
        ("[{_target_: norm_test, examples: 1}]", "norm_test: examples=1: at least 2"),
        ("[{_target_: norm_test, exmples: 9}]", r"norm_test.exmples: .* did you mean examples\?"),
        ("[alpha, {_target_: mine.Nothing}]", "probe.instruments=mine.Nothing"),
    ],
)
def test_what_there_is_not_is_said_in_a_line(said: str, message: str, own: ModuleType) -> None:
    with pytest.raises(UserError, match=message):
        instruments(plain_value(said))


def test_bad_input_leaves_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", *RUN, "probe.every=2", "probe.instruments=[no]") == 2
    assert "probe.instruments=no: no such instrument" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_set_stands_for_its_instruments_and_each_comes_once() -> None:
    found = instruments(["norm_test", "economy"])
    assert list(found) == ["norm_test", "alpha", "grad_hist_1d", "inner_test", "ortho_test"]
    (only,) = instruments([{"_target_": "norm_test", "examples": 7}]).values()
    assert vars(only)["_examples"] == 7


def test_a_strangers_run_names_instruments_of_ours_only() -> None:
    said = ["economy", {"_target_": "norm_test"}, {"_target_": "a.Own"}]
    config = {"probe": {"every": 2, "instruments": said}}
    assert list(foreign(config)) == [("probe.instruments[2]._target_", "a.Own")]


@pytest.mark.slow
def test_two_ranks_measure_what_one_does(tmp_path: Path) -> None:
    words = small("dataset=digits", "steps=6", *PROBED, "model.activation=tanh", "accumulate=2")
    alone, two = tmp_path / "alone", tmp_path / "two"
    assert train(alone, *words) == 0
    ranks(["train", *words, f"hydra.run.dir={two}"])
    for one, other in zip(probed(alone).values(), probed(two).values(), strict=True):
        wanted = {tag: float(value) for tag, value in one.items()}
        assert {tag: float(value) for tag, value in other.items()} == pytest.approx(
            wanted, rel=1e-2
        )
