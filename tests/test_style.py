"""What every file keeps to: short, described, nothing packed, text in an encoding that is said."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "optbench").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
LONGEST, LONGEST_FUNCTION = 400, 60
HABIT = "a habit, not a law: where there are two ideas in it, give each its own; pack nothing"


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lengths(paths: list[Path]) -> dict[str, int]:
    return {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in paths}


def test_a_file_is_short() -> None:
    assert len(FILES) > 100
    assert {file: n for file, n in lengths(FILES).items() if n >= LONGEST} == {}, HABIT


def test_a_function_is_short() -> None:
    found = {
        f"{name(path)}:{node.lineno} {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(found) > len(FILES)
    assert {function: n for function, n in found.items() if n >= LONGEST_FUNCTION} == {}, HABIT


def packed(code: ast.AST) -> list[int]:
    """The lines where a tuple or list that is written out is unpacked on the spot: `*(a, b)`."""
    return [
        node.lineno
        for node in ast.walk(code)
        if isinstance(node, ast.Starred) and isinstance(node.value, ast.Tuple | ast.List)
    ]


@pytest.mark.parametrize("folder", ["optbench", "scripts"])
def test_arguments_are_not_packed(folder: str) -> None:
    """Keywords say what is what, and are checked; a constant may be as long as it is."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    found = {path.name: packed(ast.parse(path.read_text(encoding="utf-8"))) for path in paths}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("f(*(a, b), *(c, d))", True),
        ("X = (*('a', 'b'), 'c')", True),
        ("X = [*[a, b]]", True),
        ("f(*given)", False),
        ("f(*([a] if b else []))", False),
        ("f(a, b, c=c)", False),
    ],
)
def test_the_search_for_packed_arguments_sees_them(code: str, wrong: bool) -> None:
    assert bool(packed(ast.parse(code))) == wrong


def test_a_file_says_what_it_is() -> None:
    assert [name(path) for path in FILES if not ast.get_docstring(tree(path))] == []


def test_the_tests_are_short_too() -> None:
    assert {file: n for file, n in lengths(TESTS).items() if n >= LONGEST} == {}


OPENS = {"open": 1, "fdopen": 1, "path.open": 0, "NamedTemporaryFile": 0}
"""Where a call that opens a file has its mode."""
COMPRESSED = ("gzip", "bz2", "lzma")
MODE = re.compile("[rwxabt+]{1,3}$")


def is_text_of_any_encoding(call: ast.Call) -> bool:
    """Whether a call opens, reads or writes text in whatever encoding the locale has."""
    said = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in said:
        return False
    function, of = call.func, ""
    if isinstance(function, ast.Attribute):
        name, of = function.attr, getattr(function.value, "id", "an expression")
    else:
        name = getattr(function, "id", "")
    if name in ("read_text", "write_text"):
        return len(call.args) < {"read_text": 1, "write_text": 2}[name]
    if any(
        ast.dump(said[key]) == "Constant(value=True)"
        for key in {"text", "universal_newlines"} & {*said}
    ):
        return True
    if of in ("os", "tarfile", "Image") and name == "open":
        return False
    if name == "open" and of and of != "io" and of not in COMPRESSED:
        name = "path.open"
    if name not in OPENS:
        return False
    given = [*call.args[OPENS[name] : OPENS[name] + 1], *([said["mode"]] if "mode" in said else [])]
    if not given:
        return name != "NamedTemporaryFile" and of not in COMPRESSED
    mode = given[0].value if isinstance(given[0], ast.Constant) else None
    if not isinstance(mode, str) or not MODE.match(mode):
        return False
    return "t" in mode if of in COMPRESSED else "b" not in mode


@pytest.mark.parametrize("folder", ["optbench", "scripts", "tests"])
def test_text_is_in_an_encoding_that_is_said(folder: str) -> None:
    """The locale's would read other letters, or none, on another machine."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and is_text_of_any_encoding(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        ("open(path)", True),
        ("open(path, 'rb')", False),
        ("path.open()", True),
        ("path.open('a', buffering=1)", True),
        ("path.open('ab')", False),
        ("path.open('w', encoding='utf-8')", False),
        ("dataset.open('train', device)", False),
        ("Image.open(path)", False),
        ("gzip.open(path)", False),
        ("gzip.open(path, 'rt')", True),
        ("(folder / 'x').read_text()", True),
        ("(folder / 'x').read_text('utf-8')", False),
        ("path.write_text(text)", True),
        ("run(command, text=True)", True),
        ("run(command)", False),
        ("NamedTemporaryFile('w')", True),
        ("NamedTemporaryFile()", False),
        ("os.fdopen(1, 'w')", True),
    ],
)
def test_the_search_for_unsaid_encodings_sees_them(call: str, wrong: bool) -> None:
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    assert is_text_of_any_encoding(node) == wrong
