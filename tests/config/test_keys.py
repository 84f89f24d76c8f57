"""The key that was meant, anywhere in a config."""

from typing import Any

import pytest

from optbench.config.keys import first_that_takes, instead, meant, nearest_key, setting

CONFIG: dict[str, Any] = {
    "epochs": None,
    "deterministic": False,
    "model": {"_target_": "a.B", "hidden": [100], "dropout": 0.0},
    "optimizer": {
        **{"_target_": "c.D", "lr": 0.1, "betas": [0.9, 0.99], "weight_decay": 0.0},
        "decay": "own",
    },
    "schedule": {"_target_": "e.F", "warmup_steps": 0, "warmup": "linear"},
    "clip": {"norm": None, "value": None},
    "eval": {"every": "1ep"},
    "monitor": {"every": 10},
    "precision": {"autocast": None},
    "task": {"_target_": None, "loss": {"_target_": None, "arguments": None}},
}
MEANT = [
    ("epoch", 3, "epochs"),
    ("lr", 0.1, "optimizer.lr"),
    ("learning_rate", 0.1, "optimizer.lr"),
    ("wd", 0.1, "optimizer.weight_decay"),
    ("momentum", 0.9, "optimizer.betas"),
    ("clip_norm", 1, "clip.norm"),
    ("max_grad_norm", 1, "clip.norm"),
    ("warmup", 5, "schedule.warmup_steps"),
    ("warmup", "10%", "schedule.warmup_steps"),
    ("warmup", "cosine", "schedule.warmup"),
    ("decay", 0.1, "optimizer.weight_decay"),
    ("decay", "coupled", "optimizer.decay"),
    ("modle", "gpt", "model"),
    ("amp", True, "precision"),
    ("every", 3, "eval.every"),
    ("evl.every", 3, "eval.every"),
    ("mnitor.every", 3, "monitor.every"),
    ("trainer.lr", 0.1, "optimizer.lr"),
    ("optimizer.hidden", [3], "model.hidden"),
    ("optimizer.wd", 0.1, "optimizer.weight_decay"),
    ("loss", "focal", "task.loss._target_"),
    ("criterion", "my.Loss", "task.loss._target_"),
    ("loss._target_", "my.Loss", "task.loss._target_"),
    ("xyzzy", 1, None),
]


@pytest.mark.parametrize(("key", "value", "right"), MEANT)
def test_the_nearest_key_is_found_wherever_it_stands(
    key: str, value: Any, right: str | None
) -> None:
    assert nearest_key(key, value, CONFIG) == right


def test_the_right_key_is_named_in_full_wherever_the_wrong_one_stands() -> None:
    assert meant("optimizer.lrr", 1, CONFIG) == "did you mean optimizer.lr?"
    assert meant("lrr", 1, CONFIG) == "did you mean optimizer.lr?"
    assert meant("lrr", 1, CONFIG["optimizer"], "optimizer") == "did you mean optimizer.lr?"
    assert meant("nrom", 1, {"norm": 1}, "groups[0]") == "did you mean norm?"


def test_a_value_for_a_list_is_shown_in_one() -> None:
    assert meant("hidden", 3, CONFIG) == "did you mean 'model.hidden=[3]'?"
    assert meant("momentum", 0.9, CONFIG) == "did you mean 'optimizer.betas=[0.9,0.99]'?"
    assert meant("hidden", [3], CONFIG) == "did you mean model.hidden?"


def test_a_key_of_another_group_has_to_be_the_very_one() -> None:
    config = {"model": {"patch_size": 4}, "weights": {"path": None}}
    assert nearest_key("model.patch", 5, config) == "model.patch_size"
    assert nearest_key("model.pat", 5, {"model": {"a": 1}, "weights": {"path": None}}) is None


def test_what_is_like_none_gets_the_list_of_what_stands_there() -> None:
    assert meant("clip.xyzzy", 1, CONFIG) == "choose from norm, value"
    assert meant("a", 1, {"_target_": "a.B"}, "model") == "model takes no keys"


@pytest.mark.parametrize(
    ("word", "text", "value", "said"),
    [
        ("epochs", "3", 3, "epochs=3"),
        ("epochs", "", None, "epochs=..."),
        ("hidden", "256", 256, "'model.hidden=[256]'"),
        ("hidden", "", None, "model.hidden=[...]"),
        ("deterministic", "", None, "deterministic=true"),
        ("xyzzy", "1", 1, None),
    ],
)
def test_a_flag_as_a_setting(word: str, text: str, value: Any, said: str | None) -> None:
    assert setting(word, text, value, CONFIG) == said


@pytest.mark.parametrize(
    ("key", "value", "first"),
    [("clip", 1.0, "norm"), ("eval", "5ep", "every"), ("clip", "a", None), ("clip", None, None)],
)
def test_the_key_of_a_group_that_a_value_is_for(key: str, value: Any, first: str | None) -> None:
    assert first_that_takes(key, CONFIG[key], value) == first


def test_another_key_that_takes_what_this_one_can_not() -> None:
    assert instead("warmup", 5, CONFIG["schedule"]) == "warmup_steps"
    assert instead("warmup", "cosin", CONFIG["schedule"]) is None
