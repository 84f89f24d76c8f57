"""What is written in Hydra's grammar is read back as it was."""

from __future__ import annotations

from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from optbench.compose.quoting import literal, quoted, value_text

LETTERS = st.text(st.sampled_from("ab'\"\\${}[],:= \n\t#~%日é"), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-9, 9) | LETTERS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=2)
    ),
    max_leaves=6,
)


def read(text: str) -> Any:
    """What a config has after `key=text`."""
    cfg = OmegaConf.create({"key": None})
    OmegaConf.update(cfg, "key", OverridesParser.create().parse_override(f"key={text}").value())
    return OmegaConf.to_container(cfg, resolve=True)["key"]  # type: ignore[index, call-overload]


@settings(max_examples=60)
@given(LETTERS)
def test_any_text_survives(text: str) -> None:
    assert read(quoted(text)) == text
    assert OmegaConf.create({"key": literal(text)}).key == text


@settings(max_examples=60)
@given(VALUES)
def test_any_value_survives(value: Any) -> None:
    assert read(value_text(value)) == value
