"""A space as its file says it, held against a config, and as overrides."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from optbench.errors import UserError
from optbench.search.distribution import Distribution
from optbench.search.space import Space, overrides, read_space, refusal, refuse_strangers

CONFIG: dict[str, Any] = {
    "batch_size": 64,
    "label_smoothing": 0.0,
    "optimizer": {
        "_target_": "torch.optim.AdamW",
        "lr": 1e-3,
        "betas": [0.9, 0.999],
        "weight_decay": 1e-2,
        "amsgrad": False,
        "hessian_every": 10,
        "decay": "own",
    },
    "wrapper": {"_target_": None},
    "model": {"hidden": [100]},
    "schedule": {"_target_": "constant", "lr": None},
}
LR = {"log": [1e-4, 1e-2]}


def space(search: dict[str, Any], **more: Any) -> Space:
    return read_space({"search": search, **more}, "space=mine")


def test_a_space_is_read() -> None:
    found = read_space(
        {
            "optimizers": ["adamw", "adam"],
            "source": "a paper",
            "search": {"optimizer.lr": LR, "optimizer.betas.0": {"one_minus_log": [0.02, 0.5]}},
        },
        "space=mine",
    )
    assert found.keys == {
        "optimizer.lr": Distribution("log", 1e-4, 1e-2),
        "optimizer.betas.0": Distribution("one_minus_log", 0.02, 0.5),
    }
    assert (found.optimizers, found.source) == (("adamw", "adam"), "a paper")
    assert read_space(found.as_plain(), "space=mine") == found


def test_what_a_space_leaves_out() -> None:
    found = space({"optimizer.lr": LR})
    assert (found.optimizers, found.source) == ((), None)
    assert space({"optimizer.lr": LR}, optimizers=None) == found
    assert space({"optimizer.lr": LR}, optimizers="sgd").optimizers == ("sgd",)
    assert read_space(found.as_plain(), "space=mine") == found


NO_SPACE: list[tuple[Any, str]] = [
    (None, "expected a group of keys: optimizers, source, search"),
    ([1], "expected a group of keys: optimizers, source, search"),
    ({}, "search: no keys to search"),
    ({"search": {}}, "search: no keys to search"),
    ({"search": None}, "search: no keys to search"),
    ({"search": [1]}, "search=[1]: expected keys, each with a distribution"),
    ({"serach": {"optimizer.lr": LR}}, "serach: no such key; did you mean search?"),
    ({"optimizer.lr": LR}, "optimizer.lr: no such key; what is searched stands under search"),
    ({"search": {"lr": LR}, "sourc": "a"}, "sourc: no such key; did you mean source?"),
    ({"search": {"lr": LR}, "source": 3}, "source=3: expected a text"),
    ({"search": {"lr": LR}, "optimizers": 3}, "optimizers=3: expected a list of names, or null"),
    ({"search": {"lr": LR}, "optimizers": [3]}, "optimizers=[3]: expected a list of names"),
    (
        {"search": {"lr": LR}, "optimizers": []},
        "optimizers=[]: for none; for any optimizer write null",
    ),
    ({"search": {3: LR}}, "3: can't be a key"),
    ({"search": {"a b": LR}}, "a b: can't be a key; expected one such as optimizer.lr"),
    ({"search": {"lr=1 x": LR}}, "lr=1 x: can't be a key"),
    ({"search": {"optimizer.": LR}}, "optimizer.: can't be a key"),
    (
        {"search": {"optimizer.lr": {"lgo": [1, 2]}}},
        "optimizer.lr: lgo: no such kind; did you mean log?",
    ),
    (
        {"search": {"optimizer": {"lr": LR}}},
        "optimizer.lr: keys are written whole, with dots; did you mean optimizer.lr?",
    ),
    (
        {"search": {"a.betas": {"choice": [[1, 2]]}, "a.betas.0": {"uniform": [0, 1]}}},
        "a.betas.0: a.betas is searched as a whole",
    ),
    (
        {"search": {"optimizer": {"choice": ["sgd", "adam"]}}},
        "optimizer: stands under choose, as {optimizer: [NAME, ...]}",
    ),
    ({"choose": ["sgd"]}, "choose=[sgd]: expected"),
    ({"choose": {"model": ["mlp"]}}, "choose.model: choose from optimizer, schedule"),
    ({"choose": {"optimizer": []}}, "choose.optimizer=[]: expected a list of names"),
    ({"choose": {"optimizer": ["sgd", "sgd"]}}, "choose.optimizer=[sgd, sgd]: expected names"),
    ({"choose": {"optimizer": {"sgd": [1]}}}, "optimizer=sgd: [1]: expected keys"),
    (
        {"choose": {"optimizer": {"sgd": {"clip.norm": LR}}}},
        "optimizer=sgd: clip.norm: expected keys of optimizer",
    ),
    (
        {"choose": {"optimizer": {"sgd": {"optimizer.lr": LR}}}, "search": {"optimizer.lr": LR}},
        "optimizer.lr: searched with optimizer=sgd already",
    ),
]
CHOOSING = {
    "optimizers": None,
    "source": None,
    "search": {"clip.norm": {"log": [0.1, 10.0]}},
    "choose": {
        "optimizer": {
            "sgd": {"optimizer.lr": {"log": [0.01, 1.0]}},
            "adam": {
                "optimizer.lr": {"log": [1e-4, 0.1]},
                "optimizer.betas.0": {"one_minus_log": [0.02, 0.5]},
            },
        },
        "schedule": {"constant": {}, "cosine": {}},
    },
}


def test_a_space_that_chooses_has_keys_for_each_choice() -> None:
    found = read_space(CHOOSING, "space=mine")
    assert found.as_plain() == CHOOSING
    assert list(found.keys) == ["optimizer", "schedule", "clip.norm"]
    assert found.every == [*found.keys, "optimizer.lr", "optimizer.betas.0"]
    names = list(found.named({"optimizer": "sgd", "schedule": "cosine"}))
    assert names == ["optimizer", "schedule", "clip.norm", "optimizer=sgd optimizer.lr"]
    assert found.dimensions == 5
    values = found.at([0.9, 0.0, 0.5, 1.0, 0.0])
    assert values == {
        "optimizer": "adam",
        "schedule": "constant",
        "clip.norm": pytest.approx(1.0),
        "optimizer.lr": 0.1,
        "optimizer.betas.0": 0.98,
    }
    assert found.at([0.1, 0.9, 0.5, 0.0, 0.7])["optimizer.lr"] == 0.01
    config = {"optimizer": {"betas": [0.9, 0.999], "lr": 1.0}, "clip": {"norm": None}}
    lines = overrides(found, {**values, "clip.norm": 1.0}, config)
    assert lines[:3] == ["optimizer=adam", "schedule=constant", "clip.norm=1.0"]
    assert lines[3:] == ["optimizer.lr=0.1", "optimizer.betas=[0.98, 0.999]"]


@pytest.mark.parametrize(("plain", "said"), NO_SPACE)
def test_what_is_no_space_is_refused_in_a_line(plain: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        read_space(plain, "space=mine")
    assert str(caught.value).startswith(f"space=mine: {said}")
    assert "\n" not in str(caught.value)


STRANGERS: list[tuple[dict[str, Any], str]] = [
    ({"optimizer.lrr": LR}, "optimizer.lrr: no such key; did you mean optimizer.lr?"),
    ({"lr": LR}, "lr: no such key; did you mean optimizer.lr?"),
    ({"optimizer.beta1": LR}, "optimizer.beta1: no such key; did you mean optimizer.betas?"),
    ({"optimizer.beta.0": LR}, "optimizer.beta.0: no such key; did you mean optimizer.betas?"),
    ({"wrapper.rho": LR}, "wrapper.rho: no such key; choose one that has it with wrapper=NAME"),
    ({"optimizer.betas.2": LR}, "optimizer.betas.2: optimizer.betas has 2 items, and the first is"),
    ({"optimizer.lr.0": LR}, "optimizer.lr.0: optimizer.lr is no list"),
    ({"model": {"choice": ["a"]}}, "model: a group of keys; each value is a key of its own"),
    ({"optimizer.lr": {"uniform": [-1, 1]}}, "optimizer.lr=-1.0: not valid; expected a number, at"),
    ({"optimizer.betas.0": {"uniform": [0.5, 1.0]}}, "optimizer.betas=[1.0, 0.999]: not valid"),
    ({"label_smoothing": {"choice": [0.1, 2.0]}}, "label_smoothing=2.0: not valid"),
    ({"optimizer.decay": {"choice": ["own", "couple"]}}, "optimizer.decay=couple: not valid; did"),
    ({"optimizer.amsgrad": {"choice": [0, 1]}}, "optimizer.amsgrad=0: not valid; expected true or"),
    ({"optimizer.betas": {"choice": [[0.9]]}}, "optimizer.betas=[0.9]: not valid; expected 2"),
]


@pytest.mark.parametrize(("search", "said"), STRANGERS)
def test_a_space_that_a_config_has_no_place_for(search: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        refuse_strangers(space(search), CONFIG, "adamw")
    assert str(caught.value).startswith(f"space=mine: {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "kind", "better"),
    [
        ("batch_size", "log", "log_int"),
        ("batch_size", "uniform", "int"),
        ("optimizer.hessian_every", "uniform", "int"),
    ],
)
def test_a_range_of_numbers_where_whole_ones_are_wanted(key: str, kind: str, better: str) -> None:
    with pytest.raises(UserError, match=f"of whole numbers write {better}$"):
        refuse_strangers(space({key: {kind: [8, 64]}}), CONFIG, "adamw")
    refuse_strangers(space({key: {better: [8, 64]}}), CONFIG, "adamw")


def test_a_space_for_another_optimizer() -> None:
    found = space({"optimizer.lr": LR}, optimizers=["adamw"])
    refuse_strangers(found, CONFIG, "adamw")
    with pytest.raises(UserError) as caught:
        refuse_strangers(found, CONFIG, "sgd")
    assert str(caught.value) == "space=mine: for optimizer=adamw; this is optimizer=sgd"
    two = space({"optimizer.lr": LR}, optimizers=["adam", "adamw"])
    with pytest.raises(UserError, match="for optimizer=adam or optimizer=adamw; this is"):
        refuse_strangers(two, CONFIG, "sgd")


def test_a_space_that_fits_is_not_refused() -> None:
    search = {
        "optimizer.lr": LR,
        "optimizer.betas.1": {"one_minus_log": [1e-4, 0.1]},
        "optimizer.amsgrad": {"choice": [True, False]},
        "optimizer.decay": {"choice": ["own", "decoupled"]},
        "model.hidden": {"choice": [[100], [100, 100]]},
        "model.hidden.0": {"log_int": [8, 256]},
        "schedule.lr": {"log": [0.1, 1]},  # null by default
    }
    for key, value in search.items():
        refuse_strangers(space({key: value}), CONFIG, "adamw")


def test_the_refusal_of_a_wider_range_is_told_apart() -> None:
    assert refusal("label_smoothing", Distribution("uniform", 0.0, 0.9), CONFIG) is None
    wider = Distribution("uniform", 0.0, 0.9).wider("high")
    assert "not valid" in str(refusal("label_smoothing", wider, CONFIG))


def test_an_item_is_put_into_the_whole_list() -> None:
    search = {"optimizer.lr": LR, "optimizer.betas.0": {"one_minus_log": [0.02, 0.5]}}
    values = {"optimizer.betas.0": 0.93, "optimizer.lr": 1e-3}
    lines = overrides(space(search), values, CONFIG)
    assert lines == ["optimizer.lr=0.001", "optimizer.betas=[0.93, 0.999]"]
    assert CONFIG["optimizer"]["betas"] == [0.9, 0.999]


def test_two_items_of_a_list_are_one_override() -> None:
    kind = {"uniform": [0.1, 0.9]}
    found = space({"optimizer.betas.0": kind, "optimizer.lr": LR, "optimizer.betas.1": kind})
    values = {"optimizer.betas.0": 0.2, "optimizer.betas.1": 0.3, "optimizer.lr": 1.0}
    assert overrides(found, values, CONFIG) == ["optimizer.betas=[0.2, 0.3]", "optimizer.lr=1.0"]


def test_a_key_without_a_value_keeps_what_it_has() -> None:
    found = space({"optimizer.lr": LR, "optimizer.weight_decay": LR})
    assert overrides(found, {"optimizer.weight_decay": 0.5}, CONFIG) == [
        "optimizer.weight_decay=0.5"
    ]


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)


@given(NUMBERS | st.booleans() | st.none())  # texts: tests/compose/test_quoting.py
def test_a_value_is_exactly_what_was_chosen(value: Any) -> None:
    distribution = Distribution("log", 1, 2)
    found = Space({"optimizer.lr": distribution, "optimizer.betas.1": distribution})
    lines = overrides(found, {"optimizer.lr": value, "optimizer.betas.1": value}, CONFIG)
    parser = OverridesParser.create()
    read = [parser.parse_override(line).value() for line in lines]
    assert read == [value, [0.9, value]]
    assert type(read[0]) is type(value)
