"""optbench.optim.groups, and how the builder uses them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from optbench.assemble.optimizer import build_optimizer, lr_factor
from optbench.errors import UserError
from optbench.optim.groups import (
    hidden_matrices,
    norms_and_biases,
    parameter_count,
    parameter_groups,
)

from .problem import CPU, network, node_of


class Mixed(nn.Module):
    """One of each kind of parameter that matters here."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 4))
        self.embedding = nn.Embedding(5, 4)
        self.attention = nn.MultiheadAttention(4, 2)
        self.convolution = nn.Conv2d(1, 2, 3)
        self.norms = nn.ModuleList(
            [
                nn.BatchNorm2d(2),
                nn.LayerNorm(4),
                nn.GroupNorm(1, 4),
                nn.InstanceNorm2d(2, affine=True),
            ]
        )
        self.rms = nn.RMSNorm(4)
        self.head = nn.Linear(4, 3)


NORMS_AND_BIASES = {
    "attention.in_proj_bias",
    "attention.out_proj.bias",
    "convolution.bias",
    "head.bias",
    "rms.weight",
    *(f"norms.{number}.{kind}" for number in range(4) for kind in ("weight", "bias")),
}


def groups_of(name: str, module: nn.Module, factor: float = 1.0, **changes: Any) -> list[Any]:
    return build_optimizer(node_of(name, **changes), module, CPU, factor).optimizer.param_groups


def settings_by_name(module: nn.Module, groups: list[Any], key: str) -> dict[str, float]:
    """A setting of each parameter; fails when one is in no group or in two."""
    names = {parameter: name for name, parameter in module.named_parameters()}
    found = [(names[p], group[key]) for group in groups for p in group["params"]]
    assert sorted(name for name, _ in found) == sorted(names.values())
    return dict(found)


def test_norms_and_biases() -> None:
    assert norms_and_biases(Mixed()) == NORMS_AND_BIASES


@pytest.mark.parametrize("layer", [nn.RNN(2, 3, 2), nn.LSTM(2, 3, proj_size=2), nn.GRUCell(2, 3)])
def test_biases_of_recurrent_layers(layer: nn.Module) -> None:
    biases = {name for name, parameter in layer.named_parameters() if parameter.ndim == 1}
    assert norms_and_biases(layer) == biases


def test_hidden_matrices_leave_out_embeddings_and_the_head() -> None:
    assert hidden_matrices(Mixed()) == {
        "token",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
    }


def test_everything_decays_unless_told() -> None:
    module = Mixed()
    decays = settings_by_name(module, groups_of("adamw", module), "weight_decay")
    assert set(decays.values()) == {0.01}


def test_no_decay_on_norms_and_biases_when_asked() -> None:
    module = Mixed()
    groups = groups_of("adamw", module, decay_norm_and_bias=False, weight_decay=0.5)
    decays = settings_by_name(module, groups, "weight_decay")
    assert {name for name, decay in decays.items() if decay == 0.0} == NORMS_AND_BIASES
    assert set(decays.values()) == {0.0, 0.5}


def test_patterns_set_what_they_name() -> None:
    module = network()
    patterns = [{"params": "head.*", "lr": 0.5, "betas": [0.1, 0.2]}]
    groups = groups_of("adamw", module, groups=patterns)
    rates = settings_by_name(module, groups, "lr")
    assert {name for name, lr in rates.items() if lr == 0.5} == {"head.weight", "head.bias"}
    assert settings_by_name(module, groups, "betas")["head.bias"] == (0.1, 0.2)
    assert settings_by_name(module, groups, "betas")["blocks.0.0.bias"] == (0.9, 0.999)


def test_later_patterns_win_and_win_over_undecayed() -> None:
    module = network()
    patterns = [
        {"params": "*.bias", "lr": 0.1, "weight_decay": 0.3},
        {"params": "head.*", "lr": 0.2},
    ]
    groups = groups_of("adamw", module, groups=patterns, decay_norm_and_bias=False)
    rates = settings_by_name(module, groups, "lr")
    assert rates["blocks.0.0.bias"] == 0.1 and rates["head.bias"] == rates["head.weight"] == 0.2
    assert settings_by_name(module, groups, "weight_decay")["head.bias"] == 0.3


def test_rates_follow_the_factor_in_every_group() -> None:
    module = network()
    groups = groups_of("sgd", module, 0.5, lr=0.2, groups=[{"params": "head.*", "lr": 1.0}])
    rates = settings_by_name(module, groups, "lr")
    assert rates["blocks.0.0.weight"] == 0.1 and rates["head.weight"] == 0.5


def test_the_companions_rate_follows_the_factor_too() -> None:
    groups = groups_of("muon", network(), 0.5)
    assert [group["lr"] for group in groups] == [5e-4, 5e-4]


def test_patterns_reach_the_companion() -> None:
    module = network()
    groups = groups_of("muon", module, groups=[{"params": "*.bias", "weight_decay": 0.0}])
    decays = settings_by_name(module, groups, "weight_decay")
    assert decays == {
        "blocks.0.0.weight": 0.1,
        "blocks.0.0.bias": 0.0,
        "blocks.1.0.weight": 0.1,
        "blocks.1.0.bias": 0.0,
        "head.weight": 0.01,
        "head.bias": 0.0,
    }


def test_a_companion_that_evaluates_the_loss_many_times_is_refused() -> None:
    companion = {"_target_": "torch.optim.LBFGS", "lr": 0.1}
    with pytest.raises(UserError, match="companion: LBFGS evaluates the loss many times"):
        groups_of("muon", network(), companion=companion)
    nag = {"_target_": "optbench.optim.first_order.nag.NAG", "lr": 0.1}
    assert len(groups_of("muon", network(), companion=nag)) == 2


def test_norms_and_biases_of_the_companion() -> None:
    module = network()
    decays = settings_by_name(
        module, groups_of("muon", module, decay_norm_and_bias=False), "weight_decay"
    )
    assert {name for name, decay in decays.items() if not decay} == {
        name for name in decays if name.endswith("bias")
    }


def test_frozen_parameters_are_in_no_group() -> None:
    module = network()
    module.head.weight.requires_grad = False
    (group,) = groups_of("sgd", module)
    assert len(group["params"]) == 5
    assert all(p is not module.head.weight for p in group["params"])


def test_groups_keep_the_order_of_the_parameters() -> None:
    named = list(network().named_parameters())
    groups = parameter_groups(named, [], {"head.bias", "blocks.0.0.bias"})
    assert [g["param_names"] for g in groups] == [
        ["blocks.0.0.weight", "blocks.1.0.weight", "blocks.1.0.bias", "head.weight"],
        ["blocks.0.0.bias", "head.bias"],
    ]


def test_a_pattern_without_a_parameter_is_refused() -> None:
    named = list(network().named_parameters())
    with pytest.raises(ValueError, match="params=tail"):
        parameter_groups(named, [{"params": "tail.*"}], set())


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "sgd",
            {"groups": [{"params": "tail.*"}]},
            r"tail\.\* matches no parameter.*head",
        ),
        ("muon", {"groups": [{"params": "tail.*"}]}, r"tail\.\* matches no parameter"),
        ("rprop", {"decay_norm_and_bias": False}, "Rprop has no weight_decay"),
        ("rmsprop", {"implementation": "fused"}, "fused: RMSprop has only loop, foreach"),
        ("sparse_adam", {"implementation": "foreach"}, "SparseAdam has only loop"),
        ("lbfgs", {"groups": [{"params": "head.*", "lr": 0.1}]}, "LBFGS"),
        ("sgd", {"nesterov": True}, "optimizer: .*Nesterov"),
        ("adam", {"no_such_setting": 1}, r"optimizer\..*no_such_setting"),
    ],
)
def test_what_does_not_fit_is_one_line(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        build_optimizer(node_of(name, **changes), network(), CPU)
    assert "\n" not in str(error.value)


def test_muon_refuses_a_model_without_hidden_matrices() -> None:
    with pytest.raises(UserError, match=r"no parameter that it can take.*adamw"):
        build_optimizer(node_of("muon"), nn.Sequential(nn.Conv2d(1, 2, 3)), CPU)


@pytest.mark.parametrize(("rule", "factor"), [("none", 1.0), ("linear", 4.0), ("sqrt", 2.0)])
def test_how_the_rate_follows_the_batch(rule: str, factor: float) -> None:
    assert lr_factor(rule, 512, 128) == factor


def test_the_count_of_numbers() -> None:
    assert parameter_count(list(network().parameters())) == 5 * 7 + 7 + 7 * 6 + 6 + 6 * 3 + 3


def test_layers_nearer_the_input_learn_slower() -> None:
    module = network()
    rates = settings_by_name(module, groups_of("sgd", module, lr=1.0, layer_decay=0.5), "lr")
    assert rates == {
        "blocks.0.0.weight": 0.25,
        "blocks.0.0.bias": 0.25,
        "blocks.1.0.weight": 0.5,
        "blocks.1.0.bias": 0.5,
        "head.weight": 1.0,
        "head.bias": 1.0,
    }


def test_a_pattern_wins_over_its_layer() -> None:
    module = network()
    patterns = [{"params": "blocks.0.*", "lr": 3.0}]
    groups = groups_of("sgd", module, 0.5, lr=1.0, layer_decay=0.5, groups=patterns)
    rates = settings_by_name(module, groups, "lr")
    assert rates["blocks.0.0.bias"] == 1.5 and rates["blocks.1.0.bias"] == 0.25


def test_layers_of_both_of_muons_parts() -> None:
    module = network()
    rates = settings_by_name(module, groups_of("muon", module, layer_decay=0.5), "lr")
    assert rates["blocks.0.0.weight"] == 2.5e-4 and rates["head.weight"] == 1e-3
