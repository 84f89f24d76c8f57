"""optbench.config.moved: runs of before name classes where they stood."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import optbench
from optbench.assemble.create import locate
from optbench.config.identity import identity
from optbench.config.moved import _NOW, now, once, with_paths


@pytest.mark.parametrize("module", _NOW)
def test_classes_are_found_where_they_stood(module: str) -> None:
    there = importlib.import_module(_NOW[module])
    (name, *_) = [n for n, c in vars(there).items() if getattr(c, "__module__", "") == _NOW[module]]
    assert locate(f"{module}.{name}", "optimizer._target_") is getattr(there, name)
    assert once(now(f"{module}.{name}")) == f"{module}.{name}"


def test_other_names_stay() -> None:
    for name in ("torch.optim.SGD", "Mine", "optbench.optim.groups.hidden_matrices", ""):
        assert now(name) == once(name) == name


def test_a_run_is_the_same_by_either_name() -> None:
    config = {"optimizer": {"_target_": "optbench.optim.lion.Lion"}, "parts": [{"_target_": "a.b"}]}
    moved = with_paths(config, now)
    assert moved["optimizer"] == {"_target_": "optbench.optim.first_order.lion.Lion"}
    assert moved["parts"] == config["parts"]
    assert identity(moved) == identity(config)


def test_a_run_of_before_is_read_and_goes_on(tmp_path: Path) -> None:
    run, old = tmp_path / "run", "optbench.optim.lion.Lion"
    overrides = ["optimizer=lion", f"optimizer._target_={old}", "steps=4", "model.hidden=[4]"]
    optbench.train(*overrides, folder=run)
    assert f"_target_: {old}\n" in (run / "config.yaml").read_text(encoding="utf-8")
    assert optbench.open_run(run).config["optimizer"]["_target_"] == now(old)
    assert optbench.resume(run, "steps=6").step == 6
