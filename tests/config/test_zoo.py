"""The zoo's table, and what is said about settings that an optimizer does not take. No torch."""

from __future__ import annotations

from typing import Any

import pytest

from optbench.config.structure import check_parameter_groups
from optbench.config.zoo import TARGET, zoo
from optbench.errors import UserError


def node(**changes: Any) -> dict[str, Any]:
    own = {"_target_": TARGET, "name": "lion", "lr": None, "weight_decay": None}
    return {**own, "arguments": None, "groups": [], "implementation": "auto", **changes}


def custom(**changes: Any) -> dict[str, Any]:
    plain = node(**{"_target_": "my.module.Class", **changes})
    plain.pop("name")
    return plain


def test_the_table_says_all_of_each() -> None:
    assert len(zoo()) == 128
    for name, entry in zoo().items():
        about = entry.about
        assert about.family and about.paper and about.good_for, name
        assert float(about.state) >= 0, name
        known = {"closure", "create_graph", "no_lr", "divides_by_lr", "num_iterations", "num_data"}
        known |= {"module", "matrices", "use_muon", "wraps"}
        assert entry.needs <= known, name


@pytest.mark.parametrize(
    "fine",
    [
        node(),
        node(lr=1e-3, weight_decay=0.1, arguments={"betas": [0.9, 0.99]}),
        node(name="alig", arguments={"max_lr": 0.1}),
        node(name="sara", lr=1e-3),
        node(name="magma", arguments={"betas": [0.8, 0.9], "tau": 1.0}),
        node(groups=[{"params": "head.*", "lr": 0.1, "betas": [0.5, 0.9]}]),
        custom(arguments={"whatever": 1}),
        custom(groups=[{"params": "head.*", "weight_decay": 0.1}]),
    ],
    ids=str,
)
def test_what_fits(fine: dict[str, Any]) -> None:
    check_parameter_groups(fine)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (node(name=None), "optimizer.name=null: which one?"),
        (node(name="lionn"), "optimizer.name=lionn: no such optimizer; did you mean lion?"),
        (node(name="qqqqqq"), "optbench list optimizers names them all"),
        (node(name="bsam", arguments={"num_data": 5}), "arguments.num_data: "),
        (
            node(arguments={"bettas": [1]}),
            "optimizer.arguments.bettas: lion has no argument of this name; did you mean betas?",
        ),
        (node(name="ranger21", arguments={"num_iterations": 5}), "arguments.num_iterations: "),
        (node(arguments={"lr": 1}), "optimizer.arguments.lr: it has its own key, optimizer.lr"),
        (node(arguments=3), "optimizer.arguments=3: expected such as"),
        (node(name="alig", lr=0.1), "alig has no learning rate; set optimizer.arguments={max_lr"),
        (node(name="sm3", weight_decay=0.1), "optimizer.weight_decay=0.1: sm3 has none"),
        (node(groups=[{"params": "*", "beta": 1}]), "optimizer.groups[0].beta=1: no such key"),
        (node(_target_="my.Class"), "optimizer._target_=my.Class: with optimizer=custom only"),
        (custom(_target_=None), "optimizer._target_=null: which class?"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_one_line(wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        check_parameter_groups(wrong)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
