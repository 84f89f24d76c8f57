"""Command lines of all kinds: real keys with values of any kind, and what is no override."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(CONFIGS.glob("*/*.yaml"))
GROUPS = sorted(path.name for path in CONFIGS.iterdir() if path.is_dir())


def _leaves(values: Any, at: str) -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict) and values:
        for key, item in values.items():
            yield from _leaves(item, f"{at}.{key}")
    else:
        yield at.lstrip("."), values


def _keys_of(paths: Iterable[Path]) -> dict[str, Any]:
    """Every key that some file has, dotted as it is set, with its default."""
    found: dict[str, Any] = {}
    for path in paths:
        text = path.read_text(encoding="utf-8")
        values = yaml.safe_load(text) or {}
        whole = path.parent == CONFIGS or "@package _global_" in text or path.parent.name == "task"
        found |= _leaves(values, "" if whole else path.parent.name)
    hydras, none = ("hydra.", "defaults", "override "), ("defaults", "_about_")
    keys = [key for key in sorted(found) if not key.startswith(hydras)]
    return {key: found[key] for key in keys if not any(word in key for word in none)}


KEYS = [
    *_keys_of([CONFIGS / "config.yaml", *FILES]),
    "optimizer._about_.family",
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.job.name",
    "hydra.sweeper.params",
]
CHOICES = [f"{path.parent.name}={path.stem}" for path in FILES if not path.stem.startswith("_")]

PLAIN = [
    *("", "null", "true", "false", "None", "True", "nan", "inf", "-inf", "-0", "0", "1", "-1"),
    *("1e400", "1e-400", "99999999999999999999", "9" * 400, "0x10", "1_000", "1e-3,", ".5", "5."),
    *("10%", "150%", "-5ep", "5ep", "1e9ep", "0%", "100", "99999999999ep", "2.5", "3 ep"),
    *(
        "[]",
        "[1]",
        "[0.9,0.999]",
        "[[1]]",
        "[null]",
        "[-1,2]",
        "[a,b]",
        "{}",
        "{a: 1}",
        "{a: {b: 2}}",
    ),
    *(
        "(1,2)",
        "{1,2}",
        "[1,2",
        "1]",
        "'a",
        '"',
        "\\",
        "\\'",
        "a=b",
        "=",
        ":",
        "a:b",
        "#x",
        "~",
        "$",
    ),
    *(
        "${nope}",
        "${seed}",
        "${",
        "${oc.env:HOME}",
        "${oc.env:NOT_SET_X}",
        "${oc.decode:'1'}",
        "${.}",
    ),
    *("${model}", "${oc.create:{a: 1}}", "${now:%Q}", "???", "${oc.dict.keys:model}", "${a:${b}}"),
    *(
        "1,2",
        "a,b",
        "range(3)",
        "range(0,1e9)",
        "interval(0,1)",
        "choice()",
        "glob(*)",
        "sort(2,1)",
    ),
    *(
        "torch.optim.SGD",
        "os.getcwd",
        "..",
        ".a",
        "torch",
        "a b",
        " ",
        "\t",
        "\n",
        "a\x1b[2Jb",
        "\x00",
    ),
    *("日本", "\u2028", "\ud800", "é", "../x", "/", "/dev/null", "/dev/null/x", "~/x", "x" * 300),
    *("auto", "full", "cuda", "cpu", "gpu", "fp16", "val/loss", "val/nope", "train/loss", "none"),
    *("[{params: '*'}]", "[{params: '*', lr: x}]", "[{}]", "[{params: 3, schedule: cosine}]"),
    *("{schedule: cosine}", "{schedule: nope}", "{schedule: 3}", "{from: 0.1, to: x}"),
]
GENERATED = (
    st.integers().map(str)
    | st.floats().map(str)
    | st.text(max_size=12)
    | st.lists(st.integers(-3, 300) | st.floats(), max_size=4).map(
        lambda v: str(v).replace(" ", "")
    )
    | st.integers(1, 300).map(lambda depth: "[" * depth + "]" * depth)
)
VALUES = st.sampled_from(PLAIN) | st.sampled_from(PLAIN) | GENERATED

OVERRIDES = st.builds(
    lambda prefix, key, value: f"{prefix}{key}={value}",
    st.sampled_from(["", "", "", "", "+", "++", "~"]),
    st.sampled_from(KEYS),
    VALUES,
)


@st.composite
def garbled(draw: st.DrawFn, lines: st.SearchStrategy[str]) -> str:
    """An override with some letters put in, left out or doubled."""
    text = draw(lines)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        put = draw(st.sampled_from(list("=.,:[]{}()'\"\\$ ~+@/#\n\té0a")) | st.just(""))
        text = text[:at] + put + text[at + draw(st.integers(0, 1)) :]
    return text


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A group, and the bytes of one of its files, some of them changed."""
    path = draw(st.sampled_from(FILES))
    content = path.read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        put = draw(
            st.binary(max_size=3)
            | st.sampled_from(
                [b"", b": ", b"- ", b"\n", b"\n  ", b"[", b"{", b"*a", b"&a ", b"null"]
            )
            | st.sampled_from(PLAIN).map(lambda text: text.encode("utf-8", "surrogatepass"))
        )
        content = content[:at] + put + content[at + draw(st.integers(0, 12)) :]
    return path.parent.name, content


LINES = (
    OVERRIDES
    | OVERRIDES
    | garbled(OVERRIDES)
    | st.sampled_from(CHOICES)
    | st.builds(
        lambda group, value: f"{group}={value}", st.sampled_from(GROUPS), st.sampled_from(PLAIN)
    )
    | garbled(st.sampled_from(CHOICES))
)


def _like(default: Any) -> st.SearchStrategy[str]:
    """Values of a default's own type, those at the edges among them."""
    if isinstance(default, bool):
        return st.sampled_from(["true", "false"])
    numbers = st.sampled_from(
        [
            "0",
            "1",
            "2",
            "3",
            "7",
            "64",
            "0.5",
            "1e-3",
            "1e-30",
            "1e30",
            "-1",
            str(10**8),
            str(10**12),
        ]
    )
    if isinstance(default, int | float):
        return numbers
    if isinstance(default, list):
        return st.lists(numbers, max_size=3).map(lambda found: f"[{','.join(found)}]")
    return numbers | st.sampled_from(PLAIN)


@st.composite
def chosen(draw: st.DrawFn, groups: list[str], most: int, fitting: bool) -> list[str]:
    """Choices of some groups, and values for keys that these, or config.yaml, have."""
    of = draw(st.lists(st.sampled_from(groups), max_size=2, unique=True))
    files = [draw(st.sampled_from([f for f in FILES if f.parent.name == g])) for g in of]
    own, all_have = _keys_of(files), _keys_of([CONFIGS / "config.yaml"])
    lines = [f"{path.parent.name}={path.stem}" for path in files]
    for _ in range(draw(st.integers(1, most))):
        keys = draw(st.sampled_from([own or all_have, own or all_have, all_have]))
        key = draw(st.sampled_from(list(keys)))
        like = _like(keys[key])
        lines.append(f"{key}={draw(like if fitting else like | VALUES)}")
    return lines


COMMANDS = chosen(GROUPS, 3, False) | st.lists(LINES, min_size=1, max_size=3)
NO_DATA = ("dataset", "workload", "recipe", "task")
FITTING = chosen([group for group in GROUPS if group not in NO_DATA], 2, True)
"""Mostly what a run can be made of, or nearly."""

FLAGS = [
    *("-m", "--cfg", "--cfg=job", "--info", "--hydra-help", "-p", "--package", "--resolve", "-h"),
    *("--config-dir", "--config-dir=x", "--config-name", "--lr", "--epochs=3", "--png", "--steps"),
    *("--steps=3", "--steps=-1", "--steps=x", "--seeds", "--seeds=0", "--from=0", "--from=1e9"),
    *(
        "--to=nan",
        "--to",
        "--ramp=linear",
        "--ramp=x",
        "--player=x",
        "--fit",
        "--fit=1:2",
        "--fit=x",
    ),
    *("--animate", "--trust", "-", "--", "---", "-x", "-é", "--multirun=3"),
]
VERBS = ["show", "recommend", "list", "draw", "resume", "find-lr", "help", "trian", "--version"]
WORDS = st.sampled_from(FLAGS) | st.sampled_from(PLAIN) | LINES | st.sampled_from(GROUPS)
OTHERS = st.builds(
    lambda verb, words: [verb, *words], st.sampled_from(VERBS), st.lists(WORDS, max_size=3)
)
