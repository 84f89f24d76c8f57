"""The YAMLs in configs/schedule build what they name, with the defaults of the class."""

import dataclasses
import inspect
import re
from pathlib import Path

import pytest
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf

ALL_CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "schedule").glob("*.yaml"))
MODE_OF_THE_METRIC = {"auto": "min"}  # the builder's work too
LENGTHS_IN_STEPS = {"30%": 30, "10ep": 100, "4ep": 40, "1ep": 10, "10%": 10, "20%": 20}
MILESTONES = {"50%": 50, "75%": 75}
FREE_FORM = {"chain", "torch", "custom", "replay"}  # made of others by the builder; tested there
CONFIGS = [path for path in ALL_CONFIGS if path.stem not in FREE_FORM]
config_files = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


def in_steps(value: object) -> object:
    """The builder's work for a run of 100 steps and 10 steps an epoch."""
    if isinstance(value, list):
        return [MILESTONES[item] for item in value]
    words = LENGTHS_IN_STEPS | MODE_OF_THE_METRIC
    return words.get(value, value) if isinstance(value, str) else value


def read(path: Path) -> dict[str, object]:
    values = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


@config_files
def test_builds_a_schedule(path: Path) -> None:
    schedule = instantiate({key: in_steps(value) for key, value in read(path).items()})
    assert 0.0 <= schedule(0, 100) <= 1.0
    assert 0.0 <= schedule(100, 100) <= 1.0


@config_files
def test_has_every_field_with_its_default(path: Path) -> None:
    values = read(path)
    parameters = inspect.signature(get_class(str(values.pop("_target_")))).parameters
    assert list(values) == list(parameters)
    for name, parameter in parameters.items():
        if parameter.default is not parameter.empty and not name.endswith("_steps"):
            value = MODE_OF_THE_METRIC.get(str(values[name]), values[name])
            assert value == parameter.default, name


@pytest.mark.parametrize("path", ALL_CONFIGS, ids=lambda path: path.stem)
def test_starts_with_its_description(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ") and 10 < len(first) <= 100


def test_there_are_configs() -> None:
    assert len(CONFIGS) == 17
    assert all(dataclasses.is_dataclass(get_class(str(read(path)["_target_"]))) for path in CONFIGS)


def test_the_contact_sheet_has_all_schedules() -> None:
    script = Path(__file__).parents[2] / "scripts" / "pictures_of_schedules.py"
    shown = set(re.findall(r'"schedule=(\w+)"', script.read_text(encoding="utf-8")))
    assert shown == {path.stem for path in ALL_CONFIGS} - {"custom", "replay"}
