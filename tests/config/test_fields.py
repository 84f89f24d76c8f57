"""The field's words: ranges and closed lists."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from optbench.config import fields
from optbench.config.conform import conform_value
from optbench.config.fields import FIELDS, LENGTHS
from optbench.config.keys import join
from optbench.config.schema import Clip, EarlyStopping

from .plain import CONFIGS, plain

FILES = sorted(path for path in CONFIGS.glob("**/*.yaml") if path.parent.name != "recipe")


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
    assert set(FIELDS) <= used


def test_dotted_words_name_real_keys() -> None:
    dotted = {key for key in FIELDS if "." in key}
    assert dotted == {"clip.norm", "clip.value", "clip.adaptive"} | {
        *("early_stopping.mode", "target.metric", "target.value", "target.mode", "target.source"),
        "eval.batch_size",
    }
    assert "mode" in EarlyStopping.__dataclass_fields__
    assert set(Clip.__dataclass_fields__) == {"norm", "value", "adaptive", "per_group"}


def test_every_length_of_a_schedule_is_read_as_one() -> None:
    for key in LENGTHS - {"milestones"}:
        assert FIELDS[key].read("5ep") == "5ep"
    assert FIELDS["milestones"].read([10, "50%"]) == [10, "50%"]


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
    ("keep_last", 1),
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
    found = FIELDS[key].read(written)
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize(("key", "written"), REFUSED)
def test_a_value_out_of_its_range_is_refused(key: str, written: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        FIELDS[key].read(written)


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
