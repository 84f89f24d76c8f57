"""The weights that a run is scored by: in its checkpoints by name, and said to be others."""

from __future__ import annotations

from pathlib import Path

import pytest

from optbench.rundir import RunDir

from .experiments import experiment, fit, player_of
from .runs import (
    assert_same_bits,
    assert_same_run,
    state_of,
    train,
    whole_and_resumed,
)

QUICK = ["steps=8", "eval.every=0", "optimizer.lr=0.05", "model.batch_norm=true"]
EMA = [*QUICK, "optimizer=sgd", "ema=0.5"]
FREE = [*QUICK, "optimizer=schedulefree"]
GPT = ["model=gpt", "dataset=copy", "model.layers=1", "model.width=8", "model.heads=1", "ema=0.5"]


def rescored(folder: Path, name: str, which: str, *overrides: str) -> dict[str, float]:
    """The test set's scores of a player's state dict in the newest checkpoint, loaded by name."""
    state = state_of(folder)["state.pt"]["players"]["model"][which]
    plain = [line for line in overrides if not line.startswith(("ema", "optimizer", "steps"))]
    made = experiment(*plain, "steps=1", "optimizer.lr=0", "optimizer.weight_decay=0")
    module = player_of(made).module
    module.load_state_dict(state)  # strict: every name, and no other
    player_of(made).advance = lambda: module.load_state_dict(state)  # type: ignore[assignment,method-assign]
    _, memory = fit(made)
    return next(dict(record.values) for record in memory.records if record.kind == name)


@pytest.mark.parametrize("overrides", [EMA, FREE], ids=["ema", "schedule-free"])
@pytest.mark.parametrize("own", [[], ["dataset.val_fraction=0"]], ids=["validated", "test only"])
def test_the_checkpoint_has_the_weights_that_were_scored(
    overrides: list[str], own: list[str]
) -> None:
    """With batch norm's statistics: the module's, or those taken anew for an average."""
    run = Path("run")
    assert train(run, *overrides, *own) == 0
    final = RunDir(run).read_json("summary.json")["final"]
    averaged = rescored(run, "test", "averaged", *overrides, *own)
    trained = rescored(run, "test", "module", *overrides, *own)
    assert averaged["test/loss"] == pytest.approx(final["test/loss"], rel=1e-6)
    assert trained["test/loss"] != pytest.approx(final["test/loss"], rel=1e-3)


@pytest.mark.parametrize("overrides", [EMA, FREE], ids=["ema", "schedule-free"])
def test_a_resumed_run_saves_the_same(overrides: list[str]) -> None:
    """Also of a step that nothing was scored at."""
    assert_same_run(*whole_and_resumed(5, *overrides, "checkpoint.every=3"))


def test_tied_weights_have_both_names() -> None:
    made = experiment(*GPT, "steps=3")
    fit(made)
    state = player_of(made).state_dict()
    assert state["averaged"].keys() == state["module"].keys()
    same = [
        (one, other)
        for one in state["module"]
        for other in state["module"]
        if one < other and state["module"][one].data_ptr() == state["module"][other].data_ptr()
    ]
    assert same, "nothing is tied"
    for one, other in same:
        assert_same_bits(state["averaged"][one], state["averaged"][other])


def test_what_is_not_averaged_stands_there_as_it_is() -> None:
    made = experiment(*EMA)
    fit(made)
    state = player_of(made).state_dict()
    for name, buffer in player_of(made).module.named_buffers():
        assert state["averaged"][name].data_ptr() == buffer.data_ptr(), "saved once"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (EMA, "EMA 0.5"),
        (FREE, "averaged by AdamWScheduleFree"),
        (["steps=2"], None),
        (
            ["model=dcgan", "model.width=4", "dataset=digits", "steps=1", "ema=0.9"],
            "EMA 0.9",
        ),
        (
            [
                *["model=dcgan", "model.width=4", "dataset=digits", "steps=1"],
                "player.generator.optimizer=schedulefree",
            ],
            "discriminator as trained, generator averaged by AdamWScheduleFree",
        ),
    ],
    ids=["ema", "schedule-free", "plain", "players", "players that differ"],
)
def test_the_summary_says_which(
    overrides: list[str], said: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(Path("run"), *overrides) == 0
    shown = " ".join(capfd.readouterr().out.split())
    assert (f"scored weights {said} " in shown) if said else ("scored weights" not in shown)
    assert RunDir(Path("run")).read_json("summary.json")["scored_weights"] == said
