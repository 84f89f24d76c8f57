"""Optimizers by name: the table equals the library, and each of its words is heeded."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_optimizer.optimizer import OPTIMIZERS
from torch import nn

from optbench.assemble.create import locate
from optbench.assemble.optimizer import Built, build_optimizer, check_schedule
from optbench.config.zoo import FROM_THE_RUN, TARGET, zoo
from optbench.errors import UserError
from optbench.models.mlp import MLP

SHARED = {
    **{"implementation": "auto", "decay_norm_and_bias": True, "groups": [], "layer_decay": 1.0},
    **{"decay": "own", "centralize_gradients": False},
}
CPU = torch.device("cpu")
NOT_OURS_TO_SAY = ("self", "params", "model", "optimizer", "kwargs", "maximize")


def network() -> MLP:
    return MLP(input_shape=(5,), num_classes=3, hidden=[7, 6])


def make(name: str, module: nn.Module | None = None, **changes: Any) -> torch.optim.Optimizer:
    return built(name, module, **changes).optimizer


def built(name: str, module: nn.Module | None = None, **changes: Any) -> Built:
    node = {"_target_": TARGET, "name": name, "lr": None, "weight_decay": None, "arguments": None}
    run = {"num_iterations": 77, "num_data": 55}
    return build_optimizer({**SHARED, **node, **changes}, module or network(), CPU, run=run)


def test_the_names_are_the_librarys() -> None:
    assert list(zoo()) == list(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_class_arguments_and_lr_are_the_librarys(name: str) -> None:
    entry = zoo()[name]
    cls = locate(entry.target, "")
    if cls is not OPTIMIZERS[name]:
        assert cls.__module__.startswith("optbench.optim.zoo.")
        assert issubclass(cls, OPTIMIZERS[name])
    own = inspect.signature(cls).parameters
    assert list(entry.arguments) == [key for key in own if key not in NOT_OURS_TO_SAY]
    assert entry.lr == (own["lr"].default if "lr" in own else 1e-3 if name == "magma" else None)


@pytest.mark.parametrize("name", zoo())
def test_each_is_built_with_the_librarys_defaults(name: str) -> None:
    optimizer, entry = make(name), zoo()[name]
    first = optimizer.param_groups[0]
    if entry.lr is not None and name != "grokfastadamw":  # which divides it by what it amplifies
        assert first["lr"] == entry.lr
    assert isinstance(first["lr"], float | int)
    covered = {p for group in optimizer.param_groups for p in group["params"]}
    assert len(covered) == 6


def test_settings_reach_the_class() -> None:
    changes = {"lr": 0.5, "weight_decay": 0.25, "arguments": {"betas": [0.7, 0.8]}}
    (group,) = make("lion", **changes).param_groups
    assert (group["lr"], group["weight_decay"], group["betas"]) == (0.5, 0.25, (0.7, 0.8))


def test_groups_and_undecayed_parameters() -> None:
    groups = [{"params": "head.*", "lr": 0.125}]
    optimizer = make("lion", weight_decay=0.5, groups=groups, decay_norm_and_bias=False)
    found = {(g["lr"], g["weight_decay"], len(g["params"])) for g in optimizer.param_groups}
    assert found == {(1e-4, 0.5, 2), (1e-4, 0.0, 2), (0.125, 0.5, 1), (0.125, 0.0, 1)}


def test_what_it_wants_to_know_of_the_run() -> None:
    assert {key for e in zoo().values() for key in e.needs if key.startswith("num_")} == set(
        FROM_THE_RUN
    )
    assert make("bsam").num_data == 55  # type: ignore[attr-defined]
    warm = {n: build_ranger(n) for n in (100, 1000)}
    assert warm[1000] == 10 * warm[100]


def build_ranger(steps: int) -> int:
    node = {"_target_": TARGET, "name": "ranger21", "lr": None, "weight_decay": None}
    built = build_optimizer(
        {**SHARED, **node, "arguments": None}, network(), CPU, run={"num_iterations": steps}
    )
    return int(built.optimizer.num_warm_down_iterations)  # type: ignore[attr-defined]


def test_muons_kin_are_told_which_are_hidden_matrices() -> None:
    module = network()
    optimizer = make("muon", module)
    flags = {id(p): g["use_muon"] for g in optimizer.param_groups for p in g["params"]}
    named = {name: flags[id(p)] for name, p in module.named_parameters()}
    assert [name for name, flag in named.items() if flag] == [
        "blocks.0.0.weight",
        "blocks.1.0.weight",
    ]
    with pytest.raises(UserError, match="no parameter that it can take"):
        make("muon", MLP(input_shape=(5,), num_classes=3, hidden=[]))


def test_an_optimizer_without_lr_refuses_schedules() -> None:
    optimizer = make("alig")
    check_schedule({}, optimizer, object(), changes_lr=False)
    with pytest.raises(UserError, match="AliG has no learning rate"):
        check_schedule({}, optimizer, object(), changes_lr=True)


@pytest.mark.parametrize(
    "own",
    [
        {"groups": [{"params": "head.*", "lr": 0.1}]},
        {"decay_norm_and_bias": False},
        {"layer_decay": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["adammini", "lomo"])
def test_one_that_makes_its_groups_itself_refuses_ours(name: str, own: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="makes its groups of parameters itself"):
        make(name, **own)


@pytest.mark.parametrize("name", ["lion", "scionlight", "distributedmuon", "bsam", "demo"])
def test_how_it_runs_is_the_librarys_own(name: str) -> None:
    assert built(name).implementation == "its own"
    if name == "bsam":
        with pytest.raises(UserError, match="implementation=foreach: BSAM has only loop"):
            make(name, implementation="foreach")


def test_a_library_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(UserError, match=r"needs pytorch_optimizer, which is missing; pip install"):
        make("lion")


def test_a_library_that_a_library_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "optbench.optim.zoo.demo", raising=False)
    monkeypatch.setitem(sys.modules, "einops", None)
    with pytest.raises(UserError, match=r"needs einops, which is missing; pip install 'optbench"):
        make("demo")


@pytest.mark.parametrize("name", ["adalomo", "demo"])
def test_those_that_take_no_kernels_say_so_in_a_line(name: str) -> None:
    with pytest.raises(UserError, match=r"^optimizer: \w+ takes vectors and matrices only, not"):
        make(name, nn.Conv2d(1, 2, 3))


OWN = """
import torch

class Mine(torch.optim.Optimizer):
    def __init__(self, params, lr, boldness=1.0):
        super().__init__(params, {"lr": lr, "boldness": boldness})
        self.taken = [0]

    def step(self, closure=None):
        self.taken[0] += 1
        for group in self.param_groups:
            for p in group["params"]:
                p.data -= group["lr"] * group["boldness"] * p.grad / self.taken[0]

function = print
"""


def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Any:
    (tmp_path / "my_own_optimizer.py").write_text(OWN, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    node = {"_target_": "my_own_optimizer.Mine", "lr": 0.5, "weight_decay": None, "arguments": {}}
    return build_optimizer({**SHARED, **node, **changes}, network(), CPU).optimizer


def test_a_class_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (group,) = own(tmp_path, monkeypatch, arguments={"boldness": 3.0}).param_groups
    assert (group["lr"], group["boldness"]) == (0.5, 3.0)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"lr": None}, "optimizer.lr=null: Mine has no default; give one"),
        ({"weight_decay": 0.1}, "optimizer.weight_decay=0.1: Mine has none"),
        ({"arguments": {"bold": 1}}, "Mine has no argument of this name; did you mean boldness?"),
        ({"_target_": "my_own_optimizer.Mind"}, "no such class or function"),
        ({"_target_": "my_own_optimizer.function"}, "not a torch.optim.Optimizer"),
        ({"_target_": "nowhere_at_all.Mine"}, "no such class or function"),
    ],
    ids=str,
)
def test_what_a_class_of_ones_own_does_not_take(
    changes: dict[str, Any], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError) as caught:
        own(tmp_path, monkeypatch, **changes)
    assert line in str(caught.value)


class WithDecay(torch.optim.SGD):
    """Has arguments of names that are keys of ours."""

    def __init__(self, params: Any, lr: float = 0.1, decay: float = 0.0, takes: int = 0) -> None:
        self.given = (decay, takes)
        super().__init__(params, lr)


def test_arguments_with_the_names_of_our_keys_reach_the_class() -> None:
    node = {"_target_": f"{__name__}.WithDecay", "lr": None, "weight_decay": None}
    node["arguments"] = {"decay": 0.5, "takes": 3}  # type: ignore[assignment]
    optimizer: Any = build_optimizer({**SHARED, **node}, network(), CPU).optimizer
    assert optimizer.given == (0.5, 3)
