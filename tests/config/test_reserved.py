"""The one list of keys that are ours holds for the files, and for parameter groups."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml

from optbench.assemble.create import locate
from optbench.config.reserved import OF_EVERY, OF_NAMED, OURS, own_arguments, settable_in_a_group
from optbench.config.structure import check_parameter_groups
from optbench.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted((CONFIGS / "optimizer").glob("*.yaml"))
EVERY: dict[str, Any] = yaml.safe_load((CONFIGS / "_optimizer.yaml").read_text(encoding="utf-8"))


def node_of(path: Path, **changes: Any) -> dict[str, Any]:
    own = yaml.safe_load(path.read_text(encoding="utf-8"))
    own.pop("_about_")
    return {**EVERY, **own, **changes}


def test_the_list_is_that_of_the_file() -> None:
    assert set(OF_EVERY) == set(EVERY)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_key_is_an_argument_of_the_class_or_ours(path: Path) -> None:
    node = node_of(path)
    if "arguments" in node:
        assert set(own_arguments(node)) == {*({"name"} & set(node)), "arguments"} | {
            "lr",
            "weight_decay",
        }
        return
    if "stages" in node:  # that of the first one
        assert set(own_arguments(node)) == {"lr"}
        return
    taken = inspect.signature(locate(node["_target_"], "")).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in taken.values())
    without_lr = {"lr"} if "lr" in node and node["lr"] is None else set()
    assert anything or set(own_arguments(node)) - without_lr <= set(taken)


NEVER = [*OURS, *OF_NAMED, "_target_", "foreach", "fused", "capturable"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_group_has_none_of_ours(path: Path) -> None:
    changes: dict[str, Any] = {"name": "lion"} if path.stem == "zoo" else {}
    if path.stem == "custom":
        changes = {"_target_": "my.module.Class", "arguments": {"foreach": True, "beta": 0.5}}
    node = node_of(path, **changes)
    for key in NEVER:
        assert key not in settable_in_a_group(node)
        node["groups"] = [{"params": "*", key: node.get(key, True)}]
        with pytest.raises(UserError) as raised:
            check_parameter_groups(node)
        said = str(raised.value)
        assert f"optimizer.groups[0].{key}" in said and "no such key" in said
        offered = said.partition("choose from")[2].replace(",", " ").split()
        assert not set(NEVER) & set(offered)


def test_what_a_library_has_not_is_not_offered_to_its_groups() -> None:
    zoo = CONFIGS / "optimizer" / "zoo.yaml"
    for name, key in (("a2grad", "lr"), ("gravity", "weight_decay")):
        node = node_of(zoo, name=name, groups=[{"params": "*", key: 0.5}])
        with pytest.raises(UserError, match=rf"groups\[0\]\.{key}=0.5: no such key"):
            check_parameter_groups(node)


def test_arguments_begin_with_no_underscore() -> None:
    node = node_of(CONFIGS / "optimizer" / "custom.yaml", _target_="my.module.Class")
    with pytest.raises(UserError, match=r"optimizer\.arguments\._target_: no argument"):
        check_parameter_groups({**node, "arguments": {"_target_": "os.system"}})
