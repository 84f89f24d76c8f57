"""Who may import whom."""

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "optbench"
HEAVY = frozenset({"torch", "torchvision", "sklearn", "tensorboard"})

ALLOWED: dict[str, set[str]] = {
    "__init__": {
        *("api", "compose", "config", "errors", "population", "runs", "training", "tuning"),
        *("api_benchmark", "benchmark", "comparison", "report", "version"),
        *("api_claims", "claims", "api_population"),
        *("api_diagnosis", "check", "probe", "doctor", "symptoms", "search"),
    },
    "__main__": {"cli", "training"},
    "cli": {
        "launched",
        *("benchmark", "executors", "meta", "population", "tuning", "comparison", "report"),
        *("assemble", "training", "monitor", "rundir", "config", "plots", "errors"),
        *("search", "files", "escape", "compose", "runs", "console", "version", "shapes", "layout"),
        *("step_folders", "which_run", "instruments", "doctor", "symptoms", "completion"),
    },
    "api": {
        *("benchmark", "library", "assemble", "compose", "config", "errors", "executors"),
        *("rundir", "runs", "training", "tuning"),
    },
    "comparison": {
        *("runs", "statistics", "rundir", "config", "errors", "files", "console", "which_run"),
        "escape",
    },
    "report": {
        *("comparison", "runs", "statistics", "rundir", "config", "errors", "files", "version"),
        *("plots", "which_folder", "which_run"),
    },
    "api_claims": {"claims", "compose", "library"},
    "api_population": {
        *("compose", "errors", "library", "population", "rundir", "tuning"),
        *("which_folder", "which_run"),
    },
    "api_benchmark": {"benchmark", "compose", "errors", "library", "rundir", "which_run"},
    "api_diagnosis": {
        *(
            "check",
            "compose",
            "library",
            "plots",
            "probe",
            "rundir",
            "doctor",
            "symptoms",
            "search",
        ),
    },
    "library": {"compose", "errors", "rundir", "runs", "which_folder"},
    "probe": {
        *("runs", "compose", "config", "assemble", "instruments", "training", "monitor", "plots"),
        *("rundir", "errors", "files", "launched", "console", "step_folders"),
    },
    "check": {
        *("tuning", "runs", "compose", "config", "assemble", "training", "monitor", "search"),
        *("optim", "tasks", "data", "torch_internals"),  # whose words it looks into
        *("rundir", "errors", "files", "console", "escape", "launched", "plots", "which_folder"),
    },
    "benchmark": {
        *("tuning", "executors", "runs", "compose", "config", "search", "statistics", "assemble"),
        *("rundir", "errors", "files", "console", "which_run"),
    },
    "claims": {
        *("api", "api_benchmark", "api_diagnosis", "api_population"),
        *("compose", "tuning", "runs", "assemble"),
        *("config", "statistics", "plots", "rundir", "errors", "files", "console", "escape"),
        *("launched", "which_folder", "which_run", "search", "processor"),
        "population",  # whose words it looks into
    },
    "doctor": {
        *("symptoms", "runs", "rundir", "config", "errors", "files", "console", "plots"),
        *("metric_lines", "step_folders"),
    },
    "symptoms": {"errors"},
    "meta": {
        *("optim", "data", "training", "tuning", "runs", "rundir", "config", "errors", "escape"),
        *("files", "launched", "console", "which_run"),
    },
    "population": {
        *("tuning", "executors", "runs", "compose", "config", "training", "monitor", "search"),
        "assemble",
        *("rundir", "errors", "escape", "files", "launched", "console", "plots", "which_run"),
    },
    "tuning": {
        *("executors", "runs", "compose", "config", "assemble", "training", "monitor", "search"),
        *("rundir", "errors", "escape", "files", "launched", "plots", "which_run", "statistics"),
    },
    "executors": {
        *("runs", "compose", "config", "assemble", "training", "monitor", "console"),
        *("rundir", "errors", "escape", "files", "launched"),
    },
    "runs": {
        *("launched", "instruments", "symptoms", "which_folder", "which_run"),
        *("compose", "assemble", "training", "monitor", "rundir", "config", "errors"),
        *("files", "escape", "console", "version", "shapes", "step_folders", "plots", "layout"),
    },
    "compose": {"config", "errors", "escape", "launched", "which_folder", "which_run"},
    "completion": {"compose", "console", "errors", "shapes"},
    "console": {"escape", "layout"},
    "instruments": {"training", "optim", "tasks", "data", "errors", "plots", "torch_internals"},
    "search": {
        *("compose", "config", "assemble", "training", "monitor", "plots", "errors"),
        *("rundir", "console", "runs"),
    },
    "assemble": {
        *("training", "monitor", "rundir", "config", "errors", "files"),
        *("optim", "schedules", "models", "data", "tasks", "instruments", "torch_internals"),
    },
    "training": {
        "launched",
        "processor",
        "step_folders",
        "torch_internals",
        "monitor",
        "rundir",
        "errors",
        "files",
        "data",
        "tasks",
        "optim",
        "schedules",
    },
    "monitor": {"rundir", "files", "escape", "metric_lines", "step_folders", "torch_internals"},
    "rundir": {
        *("config", "errors", "escape", "files", "inspection", "shapes", "metric_lines"),
        "step_folders",
        *("which_folder", "which_run"),
    },
    "which_folder": {"config", "errors", "escape", "files"},
    "which_run": {"escape"},
    "inspection": {"errors", "files"},
    "metric_lines": {"files"},
    "shapes": set(),
    "step_folders": set(),
    "files": {"errors", "escape"},
    "config": {"errors"},
    "data": {"errors", "files"},
    "tasks": {"errors"},
    "optim": {"torch_internals"},
    "schedules": {"torch_internals"},
    "models": {"torch_internals"},
    "torch_internals": set(),
    "plots": {"errors"},
    "statistics": {"errors"},
    "errors": {"escape"},
    "escape": set(),
    "launched": {"errors"},
    "layout": set(),
    "version": set(),
    "processor": set(),
}
"""By part of the package: the other parts that it may import."""

TORCH_AND_NOTHING_ELSE = {
    "optim": {"torch", "pytorch_optimizer", "einops"},
    "schedules": {"torch"},
    "models": {"torch", "torchvision"},
}
"""What of others these parts use, besides the standard library."""

WITHOUT_TORCH = [
    *("optbench.errors", "optbench.rundir", "optbench.config.*", "optbench.assemble.data"),
    *("optbench.assemble.create", "optbench.assemble.schedule", "optbench.assemble.curves"),
    *("optbench.cli.*", "optbench.compose.*", "optbench.plots.*", "optbench.search.lr_range"),
    *("optbench.api", "optbench", "optbench.executors.*", "optbench.library"),
    *("optbench.api_benchmark", "optbench.api_claims", "optbench.api_diagnosis"),
    *("optbench.api_population", "optbench.completion"),
    *(f"optbench.check.{n}" for n in ("base", "checks", "result", "selected", "told", "verb")),
    *("optbench.benchmark.*", "optbench.claims.*"),
    *("optbench.search.distribution", "optbench.search.space", "optbench.statistics.*"),
    *("optbench.comparison.*", "optbench.report.*", "optbench.symptoms.*", "optbench.doctor.*"),
]
"""Modules that load without torch; what of it they need they import when they need it."""

IN_RUNS_WITH_TORCH = tuple(f"optbench.runs.{name}" for name in ("evaluate", "export", "weights"))
"""Of runs/, where all others load without."""

HELP = ["optbench", "optbench.api", "optbench.cli.main", "optbench.cli.help", "optbench.__main__"]
"""On the way to `--help`, which comes at once, and to `import optbench`: no Hydra either."""


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def names_of(node: ast.AST) -> list[str]:
    """The modules that an import statement names, and what may be modules."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute here"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


@cache
def imported(module: str) -> list[str]:
    """Everything that a module imports, wherever the statement stands."""
    return [name for node in ast.walk(tree(module)) for name in names_of(node)]


def loaded(nodes: list[ast.stmt]) -> Iterator[str]:
    """What is imported as a module loads: not in functions, not under TYPE_CHECKING."""
    for node in nodes:
        yield from names_of(node)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from loaded(node.orelse)
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef | ast.For | ast.While):
            for field in ("body", "orelse", "finalbody"):
                yield from loaded(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from loaded(handler.body)


@cache
def loaded_by(module: str) -> list[str]:
    return list(loaded(tree(module).body))


@cache
def own_module(name: str) -> str | None:
    """The module of ours that an imported name is in."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        if ".".join(parts[:cut]) in FILES:
            return ".".join(parts[:cut])
    return None


@cache
def loads(module: str) -> frozenset[str]:
    """The packages of others that loading a module loads, over all modules in between."""
    seen, to_do, others = set[str](), [module], set[str]()
    while to_do:
        current = to_do.pop()
        if current in seen:
            continue
        seen.add(current)
        if "." in current:
            to_do.append(current.rpartition(".")[0])
        for name in loaded_by(current):
            own = own_module(name)
            to_do += [own] if own else []
            others |= set() if own else {name.split(".")[0]}
    return frozenset(others)


def part_of(module: str) -> str:
    """The folder or file of the package that a module is in."""
    return module.split(".")[1] if "." in module else "__init__"


def matching(patterns: list[str]) -> list[str]:
    found = []
    for pattern in patterns:
        stem = pattern.removesuffix(".*")
        found += [m for m in FILES if m == stem or (pattern != stem and m.startswith(stem + "."))]
    return found


def test_every_part_has_its_rules() -> None:
    assert {part_of(module) for module in FILES} == set(ALLOWED)


def parts_used(module: str) -> set[str]:
    """The other parts of the package that a module imports from."""
    own = {own_module(name) for name in imported(module)}
    return {part_of(name) for name in own if name} - {part_of(module)}


def test_a_module_imports_only_what_its_part_may() -> None:
    wrong = {module: parts_used(module) - ALLOWED[part_of(module)] for module in FILES}
    assert {module: parts for module, parts in wrong.items() if parts} == {}
    assert parts_used("optbench.assemble.experiment") >= {"training", "data"}


def test_the_rules_have_no_circle() -> None:
    order: list[str] = []
    while len(order) < len(ALLOWED):
        free = [p for p, others in ALLOWED.items() if p not in order and others <= set(order)]
        assert free, f"a circle among {set(ALLOWED) - set(order)}"
        order += free


def test_nothing_imports_the_command_line_but_its_entry() -> None:
    importers = {part for part, others in ALLOWED.items() if "cli" in others}
    assert importers == {"__main__"}


def test_hydra_is_asked_where_configs_are_composed_only() -> None:
    names = {"hydra", "omegaconf"}
    users = {m for m in FILES if names & {name.split(".")[0] for name in imported(m)}}
    assert {part_of(module) for module in users} - {"executors"} == {"cli", "compose"}
    assert {m for m in users if part_of(m) == "executors"} == {"optbench.executors.launchers"}


@pytest.mark.parametrize("part", TORCH_AND_NOTHING_ELSE)
def test_a_library_part_uses_torch_and_nothing_of_ours(part: str) -> None:
    assert ALLOWED[part] <= {"torch_internals"}
    names = {name for module in FILES if part_of(module) == part for name in imported(module)}
    others = {name.split(".")[0] for name in names} - {"optbench"} - sys.stdlib_module_names
    assert others <= TORCH_AND_NOTHING_ELSE[part]


LIBRARIES = ("data", "tasks", "models", "optim", "schedules")
"""Parts that can be used from Python, and speak of their arguments, not of a config's keys."""

GROUPS = sorted(path.name for path in (ROOT / "configs").iterdir() if path.is_dir())
CONFIG_WORDS = re.compile(
    rf"(?<![\w.])({'|'.join(GROUPS)})(=|\.(\w|$))|=(true|false|null)\b|OPTBENCH_\w"
)
"""`dataset.root`, `model=gpt`, `=null`, and a key's beginning in front of a `{name}`."""


def docstrings(nodes: list[ast.AST]) -> set[ast.AST]:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef)
    bodies = [node.body for node in nodes if isinstance(node, owners)]
    alone = [part.value for body in bodies for part in body if isinstance(part, ast.Expr)]
    return {value for value in alone if isinstance(value, ast.Constant)}


def texts_of(module: str) -> list[str]:
    """Texts in a module's code, not those that describe it."""
    nodes = [*ast.walk(tree(module))]
    apart = docstrings(nodes)
    constants = [n for n in nodes if isinstance(n, ast.Constant) and n not in apart]
    return [node.value for node in constants if isinstance(node.value, str)]


def test_a_library_says_nothing_in_words_of_the_command_line() -> None:
    texts = {module: texts_of(module) for module in FILES if part_of(module) in LIBRARIES}
    assert sum(len(each) for each in texts.values()) > 100
    found = {m: [text for text in each if CONFIG_WORDS.search(text)] for m, each in texts.items()}
    assert {module: wrong for module, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize(
    "text",
    [
        "point dataset.root at",
        "take model=gpt",
        " set task.mean=[0]",
        "synthetic: dataset.",
        "metric=null: of none",
        "set download=true",
        "OPTBENCH_DATA",
    ],
)
def test_words_of_the_command_line_are_known(text: str) -> None:
    assert CONFIG_WORDS.search(text)
    assert not CONFIG_WORDS.search("draws: noise=-1 must not be negative; set download=True")


def test_the_zoos_library_is_asked_for_with_the_zoo_only() -> None:
    """It is an extra: nothing else may load it."""
    extra = {"pytorch_optimizer", "einops"}
    users = [m for m in FILES if extra & {name.split(".")[0] for name in imported(m)}]
    assert users and all(m.startswith("optbench.optim.zoo.") for m in users)
    assert not [m for m in FILES if m not in users and extra & loads(m)]


def test_a_module_loads_without_torch() -> None:
    modules = matching([*WITHOUT_TORCH, "optbench.runs.*"])
    assert len(modules) > 100
    with_it = {module for module in modules if loads(module) & HEAVY}
    assert with_it == {*IN_RUNS_WITH_TORCH}


def test_the_way_to_help_is_short() -> None:
    long = HEAVY | {"hydra", "omegaconf", "numpy"}
    found = {module: loads(module) & long for module in HELP}
    assert {module: packages for module, packages in found.items() if packages} == {}


def test_the_walk_over_imports_sees_torch_where_it_is() -> None:
    assert "torch" in loads("optbench.training.trainer")
    assert "torch" in loads("optbench.assemble.experiment")
    assert "hydra" in loads("optbench.cli.training")
