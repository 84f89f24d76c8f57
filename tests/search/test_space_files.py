"""The spaces in configs/space: one for each optimizer, and all that they say fits."""

from __future__ import annotations

from typing import Any

import pytest

import optbench
from optbench.compose.composer import hydra_session
from optbench.compose.paths import configs_folder
from optbench.config.keys import find
from optbench.errors import UserError
from optbench.search.distribution import Distribution
from optbench.search.space import Space, overrides, read_space, refuse_strangers

OPTIMIZERS = sorted(path.stem for path in (configs_folder() / "optimizer").glob("*.yaml"))
EVERY = sorted(path.stem for path in (configs_folder() / "space").glob("*.yaml"))
CHOOSING = ("any_optimizer",)
"""Those that choose the optimizer itself; tests/cli/test_any_optimizer.py."""
SPACES = [name for name in EVERY if name not in CHOOSING]
OF_ANY = ("lr", "lr_wd")
WITHOUT_LR = ("cma_es", "ga", "pso")
OF_WRAPPERS = {"sam": "adamw"}
LISTS = {"nadamw_list": "nadam"}
BENCHMARK = "AlgoPerf"
"""Its ranges are its own, whatever our defaults are."""
COMPOSED = ["adabelief", "adamw", "lbfgs", "muon", "nadam", "rmsprop", "rprop", "sgd", "shampoo"]
COMPOSED += ["sophia"]


@pytest.fixture(scope="module")
def files() -> dict[str, dict[str, Any]]:
    """What stands in each file, by its group and name."""
    with hydra_session() as composer:
        read = composer.files.file
        found = {f"optimizer/{name}": read("optimizer", name) for name in OPTIMIZERS}
        found |= {f"space/{name}": read("space", name) for name in EVERY}
        return found | {f"wrapper/{name}": read("wrapper", name) for name in ("none", "sam")}


def space_of(files: dict[str, dict[str, Any]], name: str) -> Space:
    return read_space(files[f"space/{name}"], f"space={name}")


def config_of(files: dict[str, dict[str, Any]], name: str, wrapper: str = "none") -> dict[str, Any]:
    return {"optimizer": files[f"optimizer/{name}"], "wrapper": files[f"wrapper/{wrapper}"]}


def default_of(key: str, config: dict[str, Any]) -> Any:
    whole, _, last = key.rpartition(".")
    return find(config, whole)[int(last)] if last.isdecimal() else find(config, key)


def test_every_optimizer_has_a_space_of_its_name() -> None:
    assert set(SPACES) == {*OPTIMIZERS, *OF_ANY, *OF_WRAPPERS, *LISTS}


@pytest.mark.parametrize("name", SPACES)
def test_a_space_says_whom_it_is_for_and_who_says_so(
    files: dict[str, dict[str, Any]], name: str
) -> None:
    found = space_of(files, name)
    assert found.optimizers == (() if name in OF_ANY else ((OF_WRAPPERS | LISTS).get(name, name),))
    assert found.source
    assert 1 <= len(found.keys) <= 5
    assert ("optimizer.lr" in found.keys) == (name not in WITHOUT_LR)


@pytest.mark.parametrize("name", SPACES)
def test_a_space_fits_its_optimizer(files: dict[str, dict[str, Any]], name: str) -> None:
    found = space_of(files, name)
    wrapper = name if name in OF_WRAPPERS else "none"
    for optimizer in found.optimizers or ("sgd", "adamw", "lamb"):
        refuse_strangers(found, config_of(files, optimizer, wrapper), optimizer)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_default_is_in_its_range_or_a_benchmark_says_otherwise(
    files: dict[str, dict[str, Any]], name: str
) -> None:
    found = space_of(files, name)
    if BENCHMARK in str(found.source):
        return
    for key, distribution in found.keys.items():
        default = default_of(key, config_of(files, name))
        off = default is None or (key == "optimizer.weight_decay" and default == 0)
        assert off or _has(distribution, default), key


def _has(distribution: Distribution, value: Any) -> bool:
    if distribution.kind == "choice":
        return value in distribution.choices
    return distribution.low <= distribution.from_value(value) <= distribution.high


def test_algoperfs_ranges_are_as_in_its_repository(files: dict[str, dict[str, Any]]) -> None:
    """lr, 1 - beta1 and weight decay of paper_baselines/*/tuning_search_space.json."""
    theirs = {
        "adamw": [(1e-4, 1e-2), (2e-2, 0.5), (5e-3, 1.0)],
        "nadam": [(1e-4, 1e-2), (4e-3, 0.1), (5e-3, 1.0)],
        "nag": [(2e-2, 5.0), (5e-3, 0.3), (1e-7, 5e-5)],
        "momentum": [(2e-2, 5.0), (5e-3, 0.3), (1e-7, 5e-5)],
        "sgd": [(2e-2, 5.0), (5e-3, 0.3), (1e-7, 5e-5)],
        "heavy_ball": [(2e-2, 5.0), (5e-3, 0.3), (1e-7, 5e-5)],
        "lamb": [(1e-4, 1e-2), (5e-2, 0.3), (1e-3, 1.0)],
        "shampoo": [(1e-4, 1e-2), (1e-2, 0.15), (5e-3, 1.0)],
        "sam": [(1e-4, 1e-2), (5e-2, 0.43), (1e-2, 0.2)],
    }
    own = [name for name in SPACES if name not in LISTS]
    said = {name for name in own if BENCHMARK in str(space_of(files, name).source)}
    assert said == set(theirs)
    for name, ranges in theirs.items():
        found = list(space_of(files, name).keys.values())[:3]
        assert [each.kind for each in found] == ["log", "one_minus_log", "log"]
        assert [(each.low, each.high) for each in found] == ranges


@pytest.mark.parametrize("name", [*COMPOSED, *OF_WRAPPERS])
def test_a_choice_of_a_space_is_composed_as_it_is(
    files: dict[str, dict[str, Any]], name: str
) -> None:
    found = space_of(files, name)
    optimizer = OF_WRAPPERS.get(name, name)
    chosen = [f"optimizer={optimizer}", *([f"wrapper={name}"] if name in OF_WRAPPERS else [])]
    values = {key: each.value(0.381966) for key, each in found.keys.items()}
    plain = optbench.compose(*chosen).plain
    refuse_strangers(found, plain, optimizer)
    composed = optbench.compose(*chosen, *overrides(found, values, plain)).plain
    assert {key: default_of(key, composed) for key in values} == values


@pytest.mark.parametrize("line", ["space=adamw", "+space=adamw", "space.search=1"])
def test_a_run_has_no_space(line: str) -> None:
    with pytest.raises(UserError) as caught:
        optbench.compose(line)
    assert str(caught.value) == f"{line}: what is searched is said to optbench tune"
    with pytest.raises(UserError, match=r"what is searched is said to optbench tune$"):
        optbench.sweep(line, "seed=1,2")
