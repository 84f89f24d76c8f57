"""Every workload file trains, is resumed bit for bit, under bf16 with accumulation, on two ranks.

It finds the files by itself. Data sets are a few examples in the real formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from _pytest.mark import ParameterSet

from optbench.compose.paths import configs_folder

from .ranks import ended, once, torchrun
from .runs import assert_same_run, metrics_of, status_of
from .tiny_data import write_all
from .workloads import LARGE, LAST, MODES, NAMES, small_workload, whole_and_resumed

SPLITS = ("val", "test")
BY_RANKS = ("quadratic_deep",)
"""What two ranks always go through; the others when slow tests are run."""
OTHERS = tuple(name for name in NAMES if name not in BY_RANKS)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data root, for all runs of this module."""
    root = tmp_path_factory.mktemp("data")
    write_all(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPTBENCH_DATA", str(root))
        yield root


@pytest.fixture(scope="module")
def launched(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a workload's runs on two ranks; one launch goes through many of them."""

    @cache
    def launch(names: tuple[str, ...]) -> Path:
        return once(tmp_path_factory, f"ranks-{names[0]}", lambda root: fill(root, names))

    def fill(root: Path, names: tuple[str, ...]) -> None:
        program = ["-m", f"{Path(__file__).parent.name}.workloads"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=":")
            code, said = ended(torchrun(program, [str(root), *names]))
        assert code == 0, said

    return lambda name: launch(BY_RANKS if name in BY_RANKS else OTHERS) / name


def cases() -> Iterator[ParameterSet]:
    """Every workload in every mode; slow is what takes long, and one of two modes of the rest."""
    for name in NAMES:
        for mode in MODES:
            large = name in LARGE or (NAMES.index(name) % 2 == 0) == (mode == "bf16")
            slow = large or (mode == "ranks" and name not in BY_RANKS)
            marks = [pytest.mark.slow] if slow else []
            yield pytest.param(name, mode, marks=marks, id=f"{name}-{mode}")


@pytest.mark.parametrize(("name", "mode"), list(cases()))
def test_a_workload_is_resumed_exactly(
    name: str, mode: str, data: Path, launched: Callable[[str], Path]
) -> None:
    folder = launched(name) if mode == "ranks" else Path("runs")
    if mode != "ranks":
        whole_and_resumed(folder, *small_workload(name), *MODES[mode])
    assert_same_run(folder / "whole", folder / "resumed")
    assert status_of(folder / "resumed")["step"] == LAST
    losses = [v for m in metrics_of(folder / "whole") for k, v in m.items() if is_loss(k)]
    assert len(set(losses)) > 1, "nothing was trained"


def is_loss(tag: str) -> bool:
    """Also of one player among several, `train/loss/generator`."""
    return tag.startswith("train/loss")


@pytest.mark.parametrize("name", NAMES)
def test_a_workload_has_a_budget_and_a_target_with_its_source(name: str) -> None:
    said = yaml.safe_load(
        (configs_folder() / "workload" / f"{name}.yaml").read_text(encoding="utf-8")
    )
    assert ("epochs" in said) != ("steps" in said)
    assert said["batch_size"]
    assert said["target"]["metric"].partition("/")[0] in SPLITS
    least = float(said["target"]["value"])
    assert least > 0 or (least == 0 and said["target"]["metric"] == "val/loss_gap")
    assert len(said["target"]["source"]) > 3
    groups = {key for entry in said["defaults"] for key in entry}
    assert {"override /model", "override /dataset"} <= groups
