"""YAML as it is written."""

from __future__ import annotations

import pytest
import yaml

from optbench.config import as_written
from optbench.config.as_written import NO_YAML, Setting, settings, tree

TEXT = """\
# a file
_about_:
  description: x  # of no interest
defaults:
  - sgd
  - _self_
  - override /schedule: cosine  # why: so
  - override /optimizer@player.a.optimizer: adam
_target_: a.B
lr: 1e-3   # small: #1
name: "a # b"
none:
betas: [0.9,
  0.99]  # two
inner: {a: 1, b: 2}
clip:
  norm: 1.0
  deeper:
    still: null
items:
  - 1
last: 5%"""
FOUND = [
    Setting("schedule", "cosine", "why: so"),
    Setting("lr", "1e-3", "small: #1"),
    Setting("name", '"a # b"', ""),
    Setting("betas", "[0.9, 0.99]", "two"),
    Setting("inner", "{a: 1, b: 2}", ""),
    Setting("clip.norm", "1.0", ""),
    Setting("clip.deeper.still", "null", ""),
    Setting("last", "5%", ""),
]


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize("change", [str, lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t])
def test_values_in_their_own_words_with_their_comments(loader, change, monkeypatch) -> None:
    if loader == "SafeLoader":
        monkeypatch.delattr(yaml, "CSafeLoader")
    assert list(settings(change(TEXT))) == FOUND


def test_aliases_are_not_followed() -> None:
    """Of each other they would go on for ever, or nearly."""
    assert list(settings("a: &a\n  b: *a\n  c: 1\n")) == [Setting("a.c", "1", "")]
    lines = ["a0: &a0\n  x: 1"]
    lines += [f"a{i}: &a{i}\n  x: *a{i - 1}\n  y: *a{i - 1}" for i in range(1, 60)]
    assert list(settings("\n".join(lines))) == [Setting("a0.x", "1", "")]


@pytest.mark.parametrize("text", ["", "# nothing\n", "- 1\n", "3\n", "[a]: 1\n", "defaults: 3\n"])
def test_what_sets_nothing(text: str) -> None:
    assert list(settings(text)) == []


@pytest.mark.parametrize(
    "text", ["a: [", "a: \x00", "a\n---\nb\n", "x: " + "[" * 5000, "a: \ud800"]
)
def test_what_is_no_yaml(text: str) -> None:
    with pytest.raises(NO_YAML):
        tree(text)


def test_nothing_is_made_of_it() -> None:
    said = "a: !!python/object/apply:os.getcwd []\n"
    assert [setting.key for setting in settings(said)] == ["a"]
    assert as_written.tree(said) is not None
