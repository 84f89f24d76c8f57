"""Every private name of torch that we use, here and nowhere else.

A new torch may rename any of them without a word. One that lacks a name is refused here, in a line
that says which; pyproject.toml bounds torch by the newest minor version that the tests have run on.
`torch._foreach_*` are not among them: all of `torch.optim` is made of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

PRIVATE = (
    "torch:_fused_adagrad_",
    "torch:_fused_adam_",
    "torch:_fused_adamw_",
    "torch:_fused_sgd_",
    "torch._C:_get_mkldnn_enabled",
    "torch._C:_set_mkldnn_enabled",
    "torch._C._autograd:_profiler_enabled",
    "torch._compile:_disable_dynamo",
    "torch._guards:TracingContext",
    "torch._guards:tracing",
    "torch._subclasses.fake_tensor:FakeTensorMode",
    "torch.autograd.profiler:_is_profiler_enabled",
    "torch.nn.modules.batchnorm:_BatchNorm",
    "torch.nn.modules.batchnorm:_NormBase",
    "torch.nn.modules.conv:_ConvNd",
    "torch.optim.optimizer:_global_optimizer_post_hooks",
    "torch.optim.optimizer:_global_optimizer_pre_hooks",
    "torch.optim.optimizer:_use_grad_for_differentiable",
    "torch.utils._python_dispatch:TorchDispatchMode",
)
"""What torch has to have as it is imported: module and name."""

OF_INSTANCES = {
    "_buffers": nn.Module,
    "_flat_weights": nn.RNNBase,
    "_flat_weights_names": nn.RNNBase,
    "_last_lr": LRScheduler,
    "_optimizer_step_post_hooks": Optimizer,
    "_optimizer_step_pre_hooks": Optimizer,
    "_step_supports_amp_scaling": Optimizer,
    "_warned_capturable_if_run_uncaptured": Optimizer,
}
"""What its objects have to have, or heed where it is set (the last two)."""


def missing() -> list[str]:
    """Return the names of `PRIVATE` that this torch lacks."""
    absent = []
    for path in PRIVATE:
        try:
            resolve_name(path)
        except (ImportError, AttributeError):
            absent.append(path.replace(":", "."))
    return absent


if absent := missing():
    raise ImportError(
        f"torch {torch.__version__} has no {', '.join(absent)}, which optbench uses; "
        "install a torch within the bounds of optbench's dependencies"
    )

ConvBase = nn.modules.conv._ConvNd
"""What all convolutions are, transposed ones too."""
NormBase = nn.modules.batchnorm._NormBase
"""What all batch and instance norms are."""
BatchNormBase = nn.modules.batchnorm._BatchNorm
"""What all batch norms are, also lazy and synchronised ones."""

fused_adagrad, fused_sgd = torch._fused_adagrad_, torch._fused_sgd_
fused_adam, fused_adamw = torch._fused_adam_, torch._fused_adamw_
"""Kernels of optimizers' steps, over lists of tensors."""

log_softmax = torch.ops.aten._log_softmax.default
log_softmax_backward = torch.ops.aten._log_softmax_backward_data.default
"""Operations that softmax and cross-entropy come to."""
unsafe_view = torch.ops.aten._unsafe_view.default
"""A view of what nobody else has."""

TorchDispatchMode = torch.utils._python_dispatch.TorchDispatchMode
"""What is asked before each operation of torch's."""


_HOOKED = Optimizer.profile_hook_step(lambda: None).__code__
"""Of what torch puts around the `step` of every class of optimizers, and around nothing else."""


_DIFFERENTIABLE = resolve_name("torch.optim.optimizer:_use_grad_for_differentiable")(
    lambda one: None
).__code__
"""Of what torch's own optimizers put around theirs below that: gradients on or off."""


def unhooked(step: Any) -> Any:
    """Return a class's `step` without the hooks that torch has put around it."""
    return step.__wrapped__ if getattr(step, "__code__", None) is _HOOKED else step


def take_step(one: Optimizer) -> None:
    """Take an optimizer's step; past what torch has put around it where nobody looks.

    That is a third of a fused step of a small model; and the first one of torch's own imports the
    compiler, as in `past_the_compiler`. Looking do hooks, and `torch.profiler` and `emit_nvtx`; an
    `ExecutionTraceObserver` without them misses the name of the step.
    """
    own = vars(one)
    profiled = (
        torch._C._autograd._profiler_enabled() or torch.autograd.profiler._is_profiler_enabled
    )
    if profiled or "step" in own or _has_hooks(own) or torch.compiler.is_compiling():
        one.step()
        return
    step = unhooked(type(one).step)
    if getattr(step, "__code__", None) is not _DIFFERENTIABLE:
        step(one)
        return
    with torch.set_grad_enabled(one.defaults["differentiable"]):
        step.__wrapped__(one)


def _has_hooks(own: dict[str, Any]) -> bool:
    """Return whether something is called before or after the step of an optimizer, by what it
    holds; one that is not made as torch makes them may hold anything."""
    before, after = (own.get(f"_optimizer_step_{when}_hooks") for when in ("pre", "post"))
    unknown = before is None or after is None
    return unknown or any((before, after, *_HOOKS_OF_ALL))


_HOOKS_OF_ALL = tuple(
    resolve_name(f"torch.optim.optimizer:_global_optimizer_{when}_hooks")
    for when in ("pre", "post")
)


@contextmanager
def past_the_compiler() -> Iterator[None]:
    """Have methods of optimizers not import torch's compiler inside the block.

    They do to be left out of what it compiles: a third of the time to a first step, for nothing
    where nothing is compiled.
    """
    if "torch._dynamo" in sys.modules:
        yield
        return
    methods = {name: vars(Optimizer)[name] for name in _TELL_THE_COMPILER}
    for name, method in methods.items():
        setattr(Optimizer, name, _untold(method))
    try:
        yield
    finally:
        for name, method in methods.items():
            if vars(Optimizer)[name] is _untold(method):  # nobody has put another there
                setattr(Optimizer, name, method)


_LEFT_OUT = resolve_name("torch._compile:_disable_dynamo")(lambda: None).__code__
"""Of what torch puts around functions that its compiler is to leave out."""
_TELL_THE_COMPILER = ("add_param_group", "load_state_dict", "state_dict")


def _untold(method: Any) -> Any:
    """Return a method without what tells the compiler, if torch has put that around it."""
    return method.__wrapped__ if getattr(method, "__code__", None) is _LEFT_OUT else method


def add_param_group(one: Optimizer, group: dict[str, Any]) -> None:
    """Add a group behind torch's decorator, which imports the compiler: a second for nothing."""
    _untold(Optimizer.add_param_group)(one, group)


def handle_no_skips(one: Optimizer) -> None:
    """Have a gradient scaler call an optimizer only with finite gradients, also a fused one."""
    one._step_supports_amp_scaling = False  # type: ignore[attr-defined]


def set_last_lr(scheduler: LRScheduler, rates: Sequence[float]) -> None:
    """Set what a scheduler's `get_last_lr` says, if it keeps it."""
    if hasattr(scheduler, "_last_lr"):
        scheduler._last_lr = list(rates)


def buffers_of(module: nn.Module) -> dict[str, Tensor | None]:
    """Return a module's own buffers by name: the dictionary that it keeps, not a copy."""
    return module._buffers


@contextmanager
def weights_of_now(module: nn.Module) -> Iterator[None]:
    """Have torch's recurrent layers compute by the parameters that they have inside the block.

    They do by a list of their weights, beside the parameters, and `functional_call` replaces the
    latter only.
    """
    layers: list[Any] = [each for each in module.modules() if isinstance(each, nn.RNNBase)]
    lists = [layer._flat_weights for layer in layers]
    for layer in layers:
        layer._flat_weights = [getattr(layer, name) for name in layer._flat_weights_names]
    try:
        yield
    finally:
        for layer, weights in zip(layers, lists, strict=True):
            layer._flat_weights = weights


def set_rank_timeout(timeout: timedelta) -> None:
    """Have exchanges between ranks fail after so long, in the process group that there is."""
    import torch.distributed as dist

    if hasattr(dist, "set_timeout"):
        dist.set_timeout(timeout)
        return
    from torch.distributed.distributed_c10d import _set_pg_timeout  # before 2.14

    _set_pg_timeout(timeout, dist.group.WORLD)


def onednn_enabled() -> bool:
    """Return whether torch takes oneDNN's kernels on a CPU."""
    return bool(torch._C._get_mkldnn_enabled())


def set_onednn_enabled(value: bool) -> None:
    """Take oneDNN's kernels or leave them; `torch.backends.mkldnn.flags` sets more, and warns."""
    torch._C._set_mkldnn_enabled(value)


def onednn_has_bf16() -> bool:
    """Return whether oneDNN has kernels for bf16 on this CPU; torch has to be built with it."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


ATTENTION_OF_CPUS = (
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward,
)
"""Forward and backward of attention on a CPU, as a dispatch mode sees them."""
ATTENTION_AT_ONCE = (
    ATTENTION_OF_CPUS[0],
    torch.ops.aten._scaled_dot_product_flash_attention,
    torch.ops.aten._scaled_dot_product_efficient_attention,
    torch.ops.aten._scaled_dot_product_cudnn_attention,
)
"""Attention in one kernel, which makes a part of the scores at a time."""
SOFTMAX = (torch.ops.aten._softmax, torch.ops.aten._safe_softmax)
"""What attention makes of scores where it makes them all."""
RECURRENT_KERNELS = (
    (torch.ops.aten.mkldnn_rnn_layer, torch.ops.aten.mkldnn_rnn_layer_backward),
    (torch.ops.aten._cudnn_rnn, torch.ops.aten._cudnn_rnn_backward),
)
"""Forward and backward of recurrent layers in one kernel."""


@contextmanager
def one_fake_mode() -> Iterator[None]:
    """Have `make_fx` note the shapes of tensors by one mode: it makes a new one for each, which
    takes a quarter of its time."""
    mode = torch._subclasses.fake_tensor.FakeTensorMode(allow_fallback_kernels=True)
    with torch._guards.tracing(torch._guards.TracingContext(mode)):
        yield


def let_step_uncaptured(one: Optimizer) -> None:
    """Have torch not warn of a capturable optimizer that takes some steps outside of a graph."""
    one._warned_capturable_if_run_uncaptured = True
