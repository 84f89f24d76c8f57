"""Which configs are of runs that can be trained at once."""

from __future__ import annotations

from typing import Any

import pytest

from optbench.config.alike import OF_EACH, differing, shape_of
from optbench.config.run_config import RunConfig


def plain(**changed: Any) -> dict[str, Any]:
    optimizer = {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9, "nesterov": False}
    base = {"seed": 0, "batch_size": 8, "optimizer": optimizer, "dataset": {"split_seed": 0}}
    return {**base, **changed}


def sgd(**changed: Any) -> dict[str, Any]:
    return plain(optimizer={**plain()["optimizer"], **changed})


@pytest.mark.parametrize(
    "other",
    [
        plain(seed=1),
        sgd(lr=0.2),
        sgd(momentum=0.5),
        plain(dataset={"split_seed": 3}),
        plain(schedule={"_target_": "cosine"}),
        plain(clip={"norm": 1.0}),
    ],
)
def test_these_go_together(other: dict[str, Any]) -> None:
    assert shape_of(plain()) == shape_of(other) and differing(plain(), other) is None


@pytest.mark.parametrize(
    ("other", "key"),
    [
        (plain(batch_size=4), "batch_size"),
        (sgd(nesterov=True), "optimizer.nesterov"),
        (sgd(momentum=0.0), "optimizer.momentum"),
        (sgd(layer_decay=0.9), "optimizer.layer_decay"),
        (sgd(betas=[0.9, 0.99]), "optimizer.betas"),
        (plain(model={"hidden": [8]}), "model"),
    ],
)
def test_these_do_not(other: dict[str, Any], key: str) -> None:
    assert shape_of(plain()) != shape_of(other) and differing(plain(), other) == key


def test_what_each_may_have_is_a_setting() -> None:
    fields = set(RunConfig.__dataclass_fields__)
    assert fields >= set(OF_EACH)
