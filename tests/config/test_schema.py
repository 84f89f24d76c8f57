"""The typed view of a config, and what contradicts what."""

import dataclasses
from typing import Any

import pytest

from optbench.config.conform import conform
from optbench.config.lengths import Length
from optbench.config.run_config import RunConfig
from optbench.config.schema import from_plain
from optbench.errors import UserError

from .plain import composed


def config(changes: dict[str, Any] | None = None, **choices: str) -> RunConfig:
    """The typed config of a choice of files, with changed keys."""
    reference = composed(**choices)
    values = composed(**choices)
    for key, value in (changes or {}).items():
        group, _, last = key.rpartition(".")
        (values[group] if group else values)[last] = value
    return from_plain(conform(values, reference))


def test_every_field_has_the_type_that_it_says() -> None:
    run = config()
    assert run.eval.every == Length(1, "epochs")
    assert run.monitor.every == Length(10, "steps")
    assert run.checkpoint.every == Length(1, "epochs")
    assert (run.epochs, run.steps) == (None, None)
    assert run.precision.name == "fp32"
    assert run.clip.norm is None
    assert run.optimizer["_target_"] == "torch.optim.AdamW"
    assert isinstance(run.optimizer["lr"], float)


def test_every_key_of_config_yaml_has_a_field() -> None:
    fields = {field.name for field in dataclasses.fields(RunConfig)}
    assert set(composed()) == fields


def test_a_config_is_frozen() -> None:
    run = config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.seed = 1  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.clip.norm = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("changes", [{"epochs": 3}, {"steps": 3}, {}])
def test_one_length_or_none_is_enough(changes: dict[str, Any]) -> None:
    run = config(changes)
    assert (run.epochs, run.steps) == (changes.get("epochs"), changes.get("steps"))


def test_two_lengths_are_a_contradiction() -> None:
    with pytest.raises(UserError, match="epochs=1 steps=5: a contradiction"):
        config({"epochs": 1, "steps": 5})


NEEDS_VALIDATION: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"early_stopping.patience": 3}, {}, "early_stopping.metric=val/loss"),
    ({}, {"schedule": "plateau"}, "schedule.metric=val/loss"),
    ({"checkpoint.best": "val/accuracy"}, {}, "checkpoint.best=val/accuracy"),
]


@pytest.mark.parametrize(("changes", "choices", "named"), NEEDS_VALIDATION)
def test_what_needs_a_validation_set_says_so(
    changes: dict[str, Any], choices: dict[str, str], named: str
) -> None:
    assert config(changes, **choices).dataset["val_fraction"] == 0.1
    with pytest.raises(UserError) as caught:
        config({**changes, "dataset.val_fraction": 0}, **choices)
    assert str(caught.value).startswith(f"{named}: needs a validation set")
    assert "dataset.val_fraction=0" in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [{}, {"checkpoint.best": None}, {"checkpoint.best": "auto"}, {"early_stopping.patience": 0}],
)
def test_a_run_without_validation_is_fine_where_nothing_needs_it(changes: dict[str, Any]) -> None:
    assert config({**changes, "dataset.val_fraction": 0}).dataset["val_fraction"] == 0


def test_a_schedule_may_react_to_the_training_without_validation() -> None:
    changes = {"dataset.val_fraction": 0, "schedule.metric": "train/loss"}
    assert config(changes, schedule="plateau").schedule["metric"] == "train/loss"
