"""configs/config.yaml has the settings as they are declared."""

from pathlib import Path

from optbench.config.declared import FIXED, SETTINGS
from optbench.config.written import written_into

CONFIG = Path(__file__).parents[2] / "configs" / "config.yaml"


def test_config_yaml_is_what_is_declared() -> None:
    text = CONFIG.read_text(encoding="utf-8")
    assert written_into(text) == text, "python -m optbench.config.written"


def test_what_a_resumed_run_keeps() -> None:
    weights = {f"weights.{key}" for key in ("path", "at", "strict", "exclude")}
    assert set(FIXED) == {"seed", "batch_size", "shuffle", "ema", "freeze", "strategy", *weights}


def test_an_example_is_an_override_of_its_setting() -> None:
    for key, each in SETTINGS.items():
        if each.example:
            name, _, value = each.example.partition("=")
            assert name == key
            assert each.field is None or each.field.read(_typed(value)) is not None


def _typed(value: str) -> str | int | float | list[str]:
    if value.startswith("["):
        return value.strip("[]").split(",")
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
