"""Schedules named inside the config."""

from __future__ import annotations

from typing import Any

import pytest

from optbench.config.schedules import expand_schedules, schedules_of
from optbench.errors import UserError

FILES: dict[str, dict[str, Any]] = {
    "cosine": {"_target_": "cosine", "min_ratio": 0.0, "warmup_steps": 0},
    "plateau": {"_target_": "plateau", "metric": "val/loss", "warmup_steps": 0},
    "chain": {"_target_": "chain", "parts": ["cosine"], "warmup_steps": 0},
}


def reference_of(name: str, at: str) -> dict[str, Any]:
    if name not in FILES:
        raise UserError(f"{at}={name}: no such schedule")
    return FILES[name]


def expanded(**changes: Any) -> dict[str, Any]:
    plain = {"schedule": FILES["cosine"], "optimizer": {"groups": []}, "seed": 0}
    return expand_schedules({**plain, **changes}, reference_of)


def test_a_name_becomes_all_its_keys() -> None:
    parts = [{"schedule": "cosine", "min_ratio": 0.5, "for": "10%"}, "cosine"]
    first, last = expanded(schedule={"_target_": "chain", "parts": parts})["schedule"]["parts"]
    assert first == {**FILES["cosine"], "min_ratio": 0.5, "for": "10%", "scale": 1.0}
    assert last == {**FILES["cosine"], "for": None, "scale": 1.0}


def test_groups_and_values_too() -> None:
    groups = [{"params": "head.*", "schedule": "chain"}, {"params": "*", "lr": 1.0}]
    out = expanded(
        optimizer={"groups": groups},
        momentum_schedule={"schedule": "cosine", "to": 0.9, "for": 5},
    )
    (part,) = out["optimizer"]["groups"][0]["schedule"]["parts"]
    assert part["_target_"] == "cosine" and out["optimizer"]["groups"][1] == groups[1]
    assert out["momentum_schedule"] == {**FILES["cosine"], "from": None, "to": 0.9, "for": 5}


def test_what_is_expanded_stays() -> None:
    once = expanded(
        schedule={"_target_": "chain", "parts": [{"schedule": "chain", "for": 3}, "cosine"]},
        optimizer={"groups": [{"params": "*", "schedule": "plateau"}]},
        weight_decay_schedule={"schedule": "cosine", "to": 5},
    )
    assert expand_schedules(once, reference_of) == once


def test_every_schedule_of_a_learning_rate_is_found() -> None:
    out = expanded(
        schedule={"_target_": "chain", "parts": [{"schedule": "plateau", "for": 3}, "cosine"]},
        optimizer={"groups": [{"params": "*"}, {"params": "a", "schedule": "plateau"}]},
    )
    found = {
        at: n.get("metric") for at, n in schedules_of(out["schedule"], out["optimizer"]["groups"])
    }
    assert found == {
        "schedule": None,
        "schedule.parts[0]": "val/loss",
        "schedule.parts[1]": None,
        "optimizer.groups[1].schedule": "val/loss",
    }


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schedule": {"parts": 5}}, "schedule.parts=5: name at least one"),
        ({"schedule": {"parts": [3]}}, "schedule.parts[0]=3: which schedule?"),
        ({"schedule": {"parts": ["sine"]}}, "schedule.parts[0]=sine: no such schedule"),
        ({"momentum_schedule": "cosine"}, "momentum_schedule=cosine: to which value?"),
        ({"momentum_schedule": {"schedule": "cosine", "to": 1}}, "momentum_schedule.to=1"),
        ({"beta2_schedule": {"schedule": "cosine", "to": 0, "from": -1}}, "beta2_schedule.from=-1"),
        ({"momentum_schedule": {"schedule": "plateau", "to": 0}}, "reacts to the run"),
        (
            {"momentum_schedule": {"schedule": "cosine", "to": 0, "fro": 1}},
            "momentum_schedule.fro=1",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError) as raised:
        expanded(**changes)
    assert says in str(raised.value)
