"""Products of many matrices by OpenBLAS, where that uses wider vectors than torch's library.

On x86 torch multiplies by Intel's MKL, which takes AVX2 on AMD's CPUs, also on those that have
AVX-512: half of what these can do, and less for small matrices. OpenBLAS takes what is there, and
one call multiplies all members' matrices (`cblas_?gemm_batch_strided`).
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from operator import mul
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from optbench.processor import maker

aten = torch.ops.aten

PACKAGE, LIBRARY = "scipy_openblas32", "lib/libscipy_openblas.so"
"""Importing the package would load the library, with kernels of its choice."""

KERNELS = "SkylakeX"
"""OpenBLAS's name of those that need AVX-512 and nothing beyond. By itself it takes those with AVX2
on Zen 5 (its issue 6029)."""

MOST = 2**31
"""Numbers that OpenBLAS counts up to, by a C int."""

ROW_MAJOR, AS_IT_IS, TRANSPOSED = 101, 111, 112
"""CBLAS's numbers for how matrices lie."""


def by_openblas(module: GraphModule, places: Sequence[Tensor] = ()) -> None:
    """Have OpenBLAS compute a graph's batched products, if it is the faster one.

    With several threads torch's library goes on: two libraries' threads would wait for each other.

    Args:
        module: of aten's operations, with the values that `make_fx` has noted.
        places: where the last so many of what it gives are wanted: a product is written there at
            once, and the place itself is given.
    """
    if not is_faster():
        return
    for node in module.graph.nodes:
        replaced = _REPLACED.get(node.target) if node.op == "call_function" else None
        if replaced is not None and not node.kwargs and _is_done(node):
            node.target = replaced
    given: Any = module.graph.output_node().args[0]
    for number, place in enumerate(places):
        node = given[number - len(places)]
        if node.op == "call_function" and node.target is products and len(node.users) == 1:
            name = f"place_{number}"
            module.register_buffer(name, place, persistent=False)
            with module.graph.inserting_before(node):
                node.args = (module.graph.get_attr(name), *node.args)
            node.target = products_into


def is_faster() -> bool:
    """Return whether OpenBLAS multiplies in less time than torch's library, on this machine."""
    return torch.get_num_threads() == 1 and library() is not None


def _is_done(node: Node) -> bool:
    """Return whether OpenBLAS has a function for a product like this one, and counts so far."""
    value: Tensor = node.meta["val"]
    known = [other.meta["val"] for other in node.all_input_nodes if "val" in other.meta]
    counted = all(sum(map(mul, each.shape, each.stride())) < MOST for each in (value, *known))
    on_cpu = value.device.type == "cpu" and value.dtype in _FUNCTIONS
    return on_cpu and counted and value.numel() > 0


def products(first: Tensor, second: Tensor) -> Tensor:
    """Return `torch.bmm(first, second)`: [members, n, k] by [members, k, m], as [members, n, m]."""
    members, rows, _ = first.shape
    found = first.new_empty(members, rows, second.shape[2])
    return products_into(found, first, second)


def products_into(place: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Write `torch.bmm(first, second)` into a place, whose rows lie in one piece; return that."""
    _multiply(first, second, place, 0.0)
    return place


def products_and_row(row: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Return `torch.baddbmm(row, first, second)`; `row` broadcasts to the products."""
    members, rows, _ = first.shape
    found = first.new_empty(members, rows, second.shape[2]).copy_(row)
    _multiply(first, second, found, 1.0)
    return found


def _multiply(first: Tensor, second: Tensor, into: Tensor, kept: float) -> None:
    """Have a stack be the products of two others and `kept` times what it is."""
    loaded = library()
    assert loaded is not None
    first, one, one_line = _lying(first)
    second, other, other_line = _lying(second)
    members, rows, columns = into.shape
    loaded.functions[into.dtype](
        ROW_MAJOR,
        one,
        other,
        rows,
        columns,
        first.shape[2],
        1.0,
        first.data_ptr(),
        one_line,
        first.stride(0),
        second.data_ptr(),
        other_line,
        second.stride(0),
        kept,
        into.data_ptr(),
        into.stride(1),
        into.stride(0),
        members,
    )


def _lying(stack: Tensor) -> tuple[Tensor, int, int]:
    """Return a stack of matrices, copied if need be; how they lie; from a line to the next."""
    _, rows, columns = stack.shape
    _, down, along = stack.stride()
    if along == 1 and down >= max(1, columns):
        return stack, AS_IT_IS, down
    if down == 1 and along >= max(1, rows):
        return stack, TRANSPOSED, along
    return stack.contiguous(), AS_IT_IS, max(1, columns)


class OpenBLAS:
    """A loaded library, which computes by one thread if its kernels are the ones wanted.

    Args:
        path: of the shared object.

    Attributes:
        kernels: OpenBLAS's name of those in use: others, if somebody has loaded it before.
        functions: `cblas_?gemm_batch_strided` by dtype.

    Raises:
        OSError: it can't be loaded.
        AttributeError: it has not what is needed.
    """

    def __init__(self, path: Path) -> None:
        with _surroundings(OPENBLAS_CORETYPE=KERNELS, OPENBLAS_NUM_THREADS="1"):
            loaded = ctypes.CDLL(str(path))
        name = loaded.scipy_openblas_get_corename
        name.restype = ctypes.c_char_p
        self.kernels: str = name().decode()
        if self.kernels == KERNELS:
            loaded.scipy_openblas_set_num_threads(1)
        self.functions: dict[torch.dtype, Callable[..., None]] = {}
        for dtype, (function, number) in _FUNCTIONS.items():
            found = self.functions[dtype] = getattr(loaded, function)
            found.argtypes, found.restype = _arguments(number), None


@contextmanager
def _surroundings(**values: str) -> Iterator[None]:
    """Set variables of the environment for the block; no other is touched."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _arguments(number: Any) -> list[Any]:
    """Return the types of `cblas_?gemm_batch_strided`'s arguments."""
    i, pointer = ctypes.c_int, ctypes.c_void_p
    return [i] * 6 + [number, pointer, i, i, pointer, i, i, number, pointer, i, i, i]


@cache
def library() -> OpenBLAS | None:
    """Return OpenBLAS where it is the faster one: on AMD's CPUs with AVX-512, on Linux.

    None elsewhere, where the package scipy-openblas32 is not there, and where somebody else has
    loaded its library, with other kernels.
    """
    vectors = torch.backends.cpu.get_cpu_capability()
    if not (vectors.startswith("AVX512") and torch.backends.mkl.is_available()):
        return None
    package = find_spec(PACKAGE) if maker() == "AuthenticAMD" else None
    if package is None or package.origin is None:
        return None
    try:
        loaded = OpenBLAS(Path(package.origin).parent / LIBRARY)
    except (OSError, AttributeError):
        return None
    return loaded if loaded.kernels == KERNELS else None


_FUNCTIONS: dict[torch.dtype, tuple[str, Any]] = {
    torch.float32: ("scipy_cblas_sgemm_batch_strided", ctypes.c_float),
    torch.float64: ("scipy_cblas_dgemm_batch_strided", ctypes.c_double),
}
_REPLACED: dict[Any, Callable[..., Tensor]] = {
    aten.bmm.default: products,
    aten.baddbmm.default: products_and_row,
}
