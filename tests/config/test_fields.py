"""The field's words: ranges and closed lists."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from optbench.config import fields
from optbench.config.conform import conform_value
from optbench.config.declared import SETTINGS, field_of
from optbench.config.fields import LENGTHS, WORDS
from optbench.config.keys import join

from .plain import CONFIGS, plain

OTHERS = ("claim", "recipe")
"""Groups whose files are no settings of a run with their defaults."""
FILES = sorted(path for path in CONFIGS.glob("**/*.yaml") if path.parent.name not in OTHERS)


def entries(values: dict[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested data."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from entries(value, join(at, key))
        else:
            yield join(at, key), value


def file_entries(path: Path) -> dict[str, Any]:
    values = plain(path)
    values.pop("hydra", None)
    return dict(entries(values))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_default_is_within_its_own_range(path: Path) -> None:
    for key, value in file_entries(path).items():
        if "${" not in str(value):
            assert conform_value(value, value, key) == value


def test_every_word_is_used_by_some_file() -> None:
    keys = {key for path in FILES for key in file_entries(path)}
    used = keys | {key.rpartition(".")[2] for key in keys}
    assert set(WORDS) <= used
    assert not [key for key in WORDS if "." in key]


def test_every_setting_stands_in_config_yaml_or_its_group() -> None:
    said = {key for path in FILES for key in file_entries(path) if path.stem == "config"}
    groups = [p for p in FILES if p.parent.name in ("precision", "checkpoint")]
    said |= {f"{p.parent.name}.{key}" for p in groups for key in file_entries(p)}
    whole = {key for key in SETTINGS if not any(each.startswith(f"{key}.") for each in SETTINGS)}
    assert whole <= said


def test_every_length_of_a_schedule_is_read_as_one() -> None:
    for key in LENGTHS - {"milestones"}:
        assert field_of(key).read("5ep") == "5ep"
    assert WORDS["milestones"].read([10, "50%"]) == [10, "50%"]


READ: list[tuple[str, Any, Any]] = [
    ("epochs", 3.0, 3),
    ("batch_size", 1, 1),
    ("seed", 0, 0),
    ("lr", 0, 0.0),
    ("momentum", 0.999, 0.999),
    ("rho", 1, 1.0),
    ("betas", [0, 0.5], [0.0, 0.5]),
    ("eps", [None, 1e-3], [None, 1e-3]),
    ("eps", 1e-8, 1e-8),
    ("every", "1ep", "1ep"),
    ("every", 0.25, 0.25),
    ("hidden", [], []),
    ("name", 2024, "2024"),
    ("scale_lr", "sqrt", "sqrt"),
]
REFUSED: list[tuple[str, Any]] = [
    ("epochs", 0),
    ("epochs", 2.5),
    ("epochs", True),
    ("epochs", "3"),
    ("batch_size", 0),
    ("seed", -1),
    ("checkpoint.keep_last", 1),
    ("lr", float("nan")),
    ("lr", float("inf")),
    ("lr", "0.1"),
    ("lr", True),
    ("momentum", 1),
    ("betas", 0.9),
    ("betas", [0.9, 1.0]),
    ("eps", [-1, 1]),
    ("ema", 1),
    ("rho", 1.1),
    ("val_fraction", 1),
    ("clip.norm", 0),
    ("hidden", [0]),
    ("std", [0.0]),
    ("milestones", [1, "abc"]),
    ("every", -1),
    ("scale_lr", "cubic"),
    ("name", ["a"]),
]


@pytest.mark.parametrize(("key", "written", "read"), READ)
def test_a_value_in_its_range_is_read(key: str, written: Any, read: Any) -> None:
    found = field_of(key).read(written)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(("key", "written"), REFUSED)
def test_a_value_out_of_its_range_is_refused(key: str, written: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        field_of(key).read(written)


@pytest.mark.parametrize(
    ("value", "low_open", "high_open", "fits"),
    [
        (0, False, False, True),
        (0, True, False, False),
        (1, False, False, True),
        (1, False, True, False),
        (0.5, True, True, True),
        (-0.1, False, False, False),
    ],
)
def test_an_interval_is_closed_unless_it_is_said_to_be_open(
    value: float, low_open: bool, high_open: bool, fits: bool
) -> None:
    read = fields.number(0, 1, low_open=low_open, high_open=high_open)
    if fits:
        assert read(value) == value
        return
    with pytest.raises(ValueError):
        read(value)
