"""The most floating-point operations a second that a device does."""

from __future__ import annotations

import time
from functools import cache

import torch

TERA = 1e12
DATASHEETS: tuple[tuple[str, dict[str, float]], ...] = (
    ("H200", {"float32": 67.0, "tf32": 494.7, "bfloat16": 989.4, "float16": 989.4}),
    ("H100 PCIe", {"float32": 51.2, "tf32": 378.0, "bfloat16": 756.0, "float16": 756.0}),
    ("H100", {"float32": 67.0, "tf32": 494.7, "bfloat16": 989.4, "float16": 989.4}),
    ("A100", {"float32": 19.5, "tf32": 156.0, "bfloat16": 312.0, "float16": 312.0}),
    ("A10", {"float32": 31.2, "tf32": 62.5, "bfloat16": 125.0, "float16": 125.0}),
    ("L40S", {"float32": 91.6, "tf32": 183.0, "bfloat16": 362.0, "float16": 362.0}),
    ("V100", {"float32": 15.7, "float16": 125.0}),
)
"""10^12 a second of dense products, by what the device's name has in it, the longer names first
(NVIDIA's data sheets)."""
SIDE = 1024
"""Of the matrices whose product is timed where no data sheet is known."""
TIMES = 5


def peak_flops(device: torch.device, dtype: torch.dtype = torch.float32) -> tuple[float, str]:
    """Return operations a second, and where that is from.

    Args:
        device: which computes.
        dtype: of the products; float32 is TF32 on a GPU where matmul precision allows it.

    Returns:
        The rate of the data sheet or, of a device that none is known of, the best of some products
        of matrices here, measured once a process.
    """
    kind = str(dtype).removeprefix("torch.")
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        tf32 = dtype == torch.float32 and torch.get_float32_matmul_precision() != "highest"
        for part, rates in DATASHEETS:
            rate = rates.get("tf32" if tf32 else kind)
            if part in name and rate is not None:
                return rate * TERA, f"{name}, data sheet"
    return _measured(str(device), kind, torch.get_num_threads())


@cache
def _measured(device: str, kind: str, threads: int) -> tuple[float, str]:
    dtype = getattr(torch, kind)
    one = torch.full((SIDE, SIDE), 0.5, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(TIMES + 1):  # the first one warms up
        begun = time.perf_counter()
        _wait(one @ one)
        best = min(best, time.perf_counter() - begun)
    return 2 * SIDE**3 / best, f"a product of {SIDE} x {SIDE} matrices, {threads} threads"


def _wait(result: torch.Tensor) -> None:
    if result.device.type == "cuda":
        torch.cuda.synchronize(result.device)
