"""Private names of torch and Hydra: they are there, and one module of each asks for them."""

import ast
import re
import tomllib
from pathlib import Path

import hydra
import pytest
import torch
from packaging.requirements import Requirement
from torch import nn
from torch.optim.lr_scheduler import ConstantLR

from optbench import torch_internals
from optbench.torch_internals import OF_INSTANCES, PRIVATE

ROOT = Path(__file__).parents[1]
TORCH, HYDRA = Path("optbench/torch_internals.py"), Path("optbench/compose/hydra_internals.py")
FILES = [
    path.relative_to(ROOT)
    for folder in ("optbench", "scripts")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
OTHERS = {
    "optbench/data/array_pickle.py": {"_Unpickler"},
    "optbench/training/distributed.py": {"_run_exitfuncs"},
    "optbench/tuning/storage.py": {"_trial_id"},
}
"""Private names of other libraries, by the only file that asks for them."""
DOCUMENTED = {"_replace", "_make", "_exit"}
"""Of Python's named tuples, and of `os`."""
OURS_TOO = {"_buffers"}
"""Names of torch's that attributes of our own have as well."""


def private(name: str) -> bool:
    """Whether a name is private: not `__class__`, and not `_foreach_add`, which torch lists."""
    if name.endswith("__") or name.startswith("_foreach_") or name in DOCUMENTED:
        return False
    return name.startswith("_")


def private_names(source: str) -> set[str]:
    """Private names that code takes from elsewhere, by an import or as an attribute."""
    found, nodes = set[str](), [*ast.walk(ast.parse(source))]
    own = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    own |= {n.attr for n in nodes if isinstance(n, ast.Attribute) and is_self(n.value)}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("optbench"):
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            found |= {part for part in parts if private(part)}
        elif isinstance(node, ast.Import):
            parts = [part for alias in node.names for part in alias.name.split(".")]
            found |= {part for part in parts if private(part)}
        elif isinstance(node, ast.Attribute) and private(node.attr) and not is_self(node.value):
            found |= {node.attr} - own
    return found


def is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def asked_for_elsewhere(path: Path) -> set[str]:
    """Private names that a file asks for and may not, by their names or in another way."""
    source = (ROOT / path).read_text(encoding="utf-8")
    by_another_way = set(re.findall(r"(?:self|cls)\.(\w+)|[\"'](\w+)[\"']", source))
    words = {word for pair in by_another_way for word in pair}
    names = {re.split(r"[.:]", name)[-1] for name in PRIVATE} | {*OF_INSTANCES, "__wrapped__"}
    wrong = private_names(source) - OTHERS.get(path.as_posix(), set())
    return wrong | words & (names - OURS_TOO)


def test_private_names_of_others_are_asked_for_in_one_module() -> None:
    others = [path for path in FILES if path not in (TORCH, HYDRA)]
    assert len(others) == len(FILES) - 2 > 100
    found = {str(path): asked_for_elsewhere(path) for path in others}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("path", [TORCH, HYDRA], ids=str)
def test_that_module_asks_for_some(path: Path) -> None:
    assert private_names((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from torch.nn.modules.conv import _ConvNd", {"_ConvNd"}),
        ("import hydra._internal.utils", {"_internal"}),
        ("from hydra._internal import utils", {"_internal"}),
        ("torch._C._set_grad_enabled(False)", {"_C", "_set_grad_enabled"}),
        ("torch._foreach_add_(a, b)", set()),
        ("self._own = other.__class__", set()),
        ("def same(self, other): return self._own == other._own", set()),
        ("from optbench.cli.training import _part", set()),
    ],
)
def test_the_search_for_private_names_sees_them(source: str, found: set[str]) -> None:
    assert private_names(source) == found


@pytest.mark.parametrize("name", PRIVATE)
def test_torch_has_the_name(name: str) -> None:
    assert name.replace(":", ".") not in torch_internals.missing()


def test_a_torch_that_lacks_a_name_is_refused_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(nn.modules.conv, "_ConvNd")
    assert torch_internals.missing() == ["torch.nn.modules.conv._ConvNd"]
    code = compile((ROOT / TORCH).read_text(encoding="utf-8"), "x", "exec")
    with pytest.raises(ImportError, match=r"has no torch\.nn\.modules\.conv\._ConvNd"):
        exec(code, {"__name__": "again"})


def test_torchs_objects_have_the_rest() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([parameter])
    objects = [nn.LSTM(1, 1), optimizer, ConstantLR(optimizer)]
    for name, cls in OF_INSTANCES.items():
        if name not in ("_step_supports_amp_scaling", "_warned_capturable_if_run_uncaptured"):
            assert any(isinstance(one, cls) and hasattr(one, name) for one in objects), name


def test_what_is_made_of_them_does_as_it_says() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(2))])
    torch_internals.add_param_group(optimizer, {"params": [nn.Parameter(torch.ones(1))]})
    assert len(optimizer.param_groups) == 2
    scheduler = ConstantLR(optimizer)
    torch_internals.set_last_lr(scheduler, [7.0])
    assert scheduler.get_last_lr() == [7.0]
    module = nn.BatchNorm1d(2)
    assert set(torch_internals.buffers_of(module)) == {name for name, _ in module.named_buffers()}


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="a torch without oneDNN")
def test_onednn_is_switched_and_asked() -> None:
    before = torch_internals.onednn_enabled()
    assert isinstance(torch_internals.onednn_has_bf16(), bool)
    try:
        torch_internals.set_onednn_enabled(not before)
        assert torch_internals.onednn_enabled() is not before
    finally:
        torch_internals.set_onednn_enabled(before)


@pytest.mark.parametrize("name", ["torch", "torchvision", "hydra-core", "omegaconf"])
def test_what_has_private_names_that_we_use_is_bounded_above(name: str) -> None:
    """Torchvision's goes with torch's; omegaconf's with Hydra's."""
    assert any(specifier.operator in ("<", "==") for specifier in bounds(name).specifier)


def test_these_versions_are_within_the_bounds() -> None:
    assert bounds("torch").specifier.contains(torch.__version__.partition("+")[0])
    assert bounds("hydra-core").specifier.contains(hydra.__version__)


def bounds(name: str) -> Requirement:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = [Requirement(text) for text in project["dependencies"]]
    return next(each for each in requirements if each.name == name)
