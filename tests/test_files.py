"""optbench.files: what others wrote is read as plain data, bounded, and never waited for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from optbench.errors import reason
from optbench.files import (
    BadFile,
    appending,
    dump_json,
    dump_yaml,
    load_json,
    load_yaml,
    naming,
    read_text,
    strict,
    write_atomically,
)


def make_link(path: Path) -> None:
    path.with_name("elsewhere").write_text("{}", encoding="utf-8")
    path.symlink_to(path.with_name("elsewhere"))


def make_dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (Path.mkdir, "a folder"),
        (os.mkfifo, "a pipe"),
        (make_link, "a link"),
        (make_dangling, "a l"),
    ],
)
@pytest.mark.parametrize("use", [read_text, load_yaml, load_json, appending])
def test_only_a_regular_file_is_opened(
    tmp_path: Path, make: Callable[[Path], None], says: str, use: Callable[[Path], object]
) -> None:
    path = tmp_path / "file"
    make(path)
    with pytest.raises(BadFile, match=f"file: {says}.*, where a file is meant"):
        use(path)


def test_what_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        read_text(tmp_path / "file")
    assert reason(raised.value) == f"{tmp_path / 'file'}: No such file or directory"


def test_a_text_is_bounded_and_in_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    assert read_text(path, 100) == "x" * 100
    with pytest.raises(BadFile, match="more than"):
        read_text(path, 99)
    path.write_bytes(b"abc\xff")
    with pytest.raises(BadFile, match="not UTF-8 at byte 3"):
        read_text(path)


@pytest.mark.parametrize(
    "text",
    [
        "a: [1, 2",
        "a: 1\n\tb: 2",
        "a: &a [*a]",
        "a: !!python/object/apply:os.system [true]",
        "a: &a {x: 1}\nb: {<<: *a}",
        "[" * 5000,
        "? [1]\n: 2",
        "\n".join(
            ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
        ),
        "a: " + "9" * 5000,
        "a: !!pairs [b: c]",
        "a: !!omap [b: c]",
        "a: !!set {b: null}",
        "a: 2001-01-01",
        "a: !!binary aGk=",
        "? !!binary aGk=\n: 1",
    ],
    ids=str.split(
        "torn tab endless code merge deep listkey laughs number pairs omap set date binary key"
    ),
)
def test_what_is_no_plain_yaml_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as raised:
        load_yaml(path)
    assert str(raised.value).startswith(str(path)) and "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 10**5, '{"a": ' * 5000, "9" * 5000])
def test_what_is_no_json_object_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile) as raised:
        load_json(path)
    assert str(raised.value).startswith(str(path)) and "\n" not in str(raised.value)


def test_yaml_of_ours_has_no_aliases(tmp_path: Path) -> None:
    betas = [0.9, 0.99]
    text = dump_yaml({"a": betas, "b": betas, "name": "naïve 日本"})
    assert "&" not in text and "*" not in text
    (tmp_path / "file").write_text(text, encoding="utf-8")
    assert load_yaml(tmp_path / "file") == {"a": betas, "b": betas, "name": "naïve 日本"}


@pytest.mark.parametrize("sync", [False, True])
def test_writing_follows_no_link(tmp_path: Path, sync: bool) -> None:
    other = tmp_path / "other"
    other.write_text("theirs", encoding="utf-8")
    for name in ("file", "file.tmp"):
        (tmp_path / name).symlink_to(other)
    write_atomically(tmp_path / "file", "ours", sync)
    assert other.read_text(encoding="utf-8") == "theirs"
    assert (tmp_path / "file").read_text(encoding="utf-8") == "ours"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other"]


def test_an_error_of_writing_names_its_file() -> None:
    with pytest.raises(OSError) as raised, naming("a/file"):
        raise OSError(28, "No space left on device")
    assert reason(raised.value) == "a/file: No space left on device"


MAPPINGS: list[dict[str, Any]] = [
    {"a": 1, "b": {"c": [1, 2.5, None], "d": {}}, "e": "yes", "f": []},
    {"a": True, "b": {"c": [True, -0.0]}, "e": "no: it is", "f": "a\nb"},
    {"null": 1.0, "1": "1", "long " * 20: "x" * 300, "f": "ä"},
    {"a": 1e-05, "b": float("nan"), "": "", "#": "# no comment", "long " * 40: 1},
]


@pytest.mark.parametrize("values", MAPPINGS)
def test_yaml_of_parts_is_that_of_the_whole(values: dict[str, Any]) -> None:
    """Also of parts that are written a second time, and of others that are equal to Python."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    whole = yaml.dump(values, Dumper=dumper, sort_keys=False, allow_unicode=True)
    assert dump_yaml(values) == dump_yaml(values) == whole
    assert dump_yaml({"a": 1, "b": 1}) == "a: 1\nb: 1\n"
    assert dump_yaml({"a": 1.0, "b": True}) == "a: 1.0\nb: true\n"


def test_what_was_written_before_is_no_part_of_another() -> None:
    inner = {"a": 1}
    values = {"inner": inner, "b": 2}
    assert dump_yaml(values) == "inner:\n  a: 1\nb: 2\n"
    inner["a"] = 2
    assert dump_yaml(values) == "inner:\n  a: 2\nb: 2\n"


@pytest.mark.parametrize(
    "values",
    [
        {"a": [], "b": {}, "c": [1, {"d": None}], "e": 0.1},
        {"a": float("nan"), "b": float("-inf")},
        {"a": "ä\u202e\x9b", "b": 2**70, "c": "\udc80"},
        {"a": 1e-07, "b": 1e22, "c": -0.0, "d": True},
    ],
)
def test_json_in_lines_is_strict_and_ascii(values: dict[str, Any], tmp_path: Path) -> None:
    text = dump_json(values)
    assert text.isascii() and text.endswith("\n}") and text.splitlines()[1].startswith("  ")
    ours = json.loads(text, parse_constant=lambda word: pytest.fail(word))
    assert ours == json.loads(json.dumps(strict(values)))
    (tmp_path / "file.json").write_text(text, encoding="utf-8")
    assert repr(load_json(tmp_path / "file.json")) == repr(values)
