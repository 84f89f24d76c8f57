"""What a run changes in its process, put back: for programs that go on after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def left_as_found() -> Iterator[None]:
    """Put torch's process-wide switches and all random generators back after the block.

    These are the number of threads, the precision of float32 matrix products, deterministic
    algorithms, cuDNN's switches, and the generators of Python, NumPy and torch (the current CUDA
    device's if CUDA was in use before).

    Left as they are: torchrun's process group, which all runs of a process share; with
    `deterministic=true` the variable CUBLAS_WORKSPACE_CONFIG, which cuBLAS reads once; OmegaConf's
    resolver `cache_folder`.
    """
    import torch

    import optbench.assemble.experiment  # noqa: F401  (it notes how many threads there are)
    from optbench.training import rng

    threads, matmul = torch.get_num_threads(), torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn
    switches = cudnn.benchmark, cudnn.deterministic
    drawn = rng.capture()
    try:
        yield
    finally:
        rng.restore(drawn)
        cudnn.benchmark, cudnn.deterministic = switches
        if torch.are_deterministic_algorithms_enabled() != deterministic:
            torch.use_deterministic_algorithms(deterministic, warn_only=warns)
        torch.set_float32_matmul_precision(matmul)
        torch.set_num_threads(threads)
