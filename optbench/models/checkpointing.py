"""Activation checkpointing: trade computation for memory.

Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def enable_activation_checkpointing(module: nn.Module) -> None:
    """Make the blocks of a model recompute their activations in the backward pass.

    Gradients, running statistics and `state_dict` names stay the same; random draws such as
    dropout masks are repeated. Blocks in evaluation mode, or under `no_grad`, run as before.

    A lone layer is no block: it keeps nothing that recomputing it would free.

    Args:
        module: the model; the `forward` of its blocks is replaced in place.

    Raises:
        ValueError: if the model has no such blocks.
    """
    blocks = repeated_blocks(module)
    if not blocks:
        raise ValueError(f"{type(module).__name__} has no repeated blocks to checkpoint")
    for block in blocks:
        # A partial, not a closure: deep copies and pickles of the model then follow its blocks.
        block.forward = partial(_recomputing_forward, block)


def repeated_blocks(module: nn.Module) -> list[nn.Module]:
    """Return the blocks of a model, none of which is part of another; there may be none.

    They are `module.checkpoint_blocks` where the model has this attribute, otherwise the elements
    of its outermost `nn.Sequential` and `nn.ModuleList` containers that have parameters and
    submodules.
    """
    own = getattr(module, "checkpoint_blocks", None)
    return list(_container_blocks(module)) if own is None else list(own)


def _container_blocks(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from (block for block in child if _is_composite(block))
        else:
            yield from _container_blocks(child)


def _is_composite(module: nn.Module) -> bool:
    return any(True for _ in module.children()) and any(True for _ in module.parameters())


def _recomputing_forward(block: nn.Module, *args: Any, **kwargs: Any) -> Any:
    forward = partial(type(block).forward, block)
    if not (block.training and torch.is_grad_enabled()):
        return forward(*args, **kwargs)
    buffers = any(True for _ in block.buffers())
    # Only where there are some: torch.compile takes no contexts.
    contexts: dict[str, Any] = {"context_fn": partial(_contexts, block)} if buffers else {}
    return checkpoint(
        forward, *args, use_reentrant=False, preserve_rng_state=True, **contexts, **kwargs
    )


def _contexts(
    block: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _ScratchBuffers(block)


class _ScratchBuffers(AbstractContextManager[None]):
    """Let the recomputation write to copies of the buffers.

    Otherwise batch norm would count each batch twice in its running statistics. A class, as
    second derivatives enter the same context once more, which a generator cannot do.
    """

    def __init__(self, block: nn.Module) -> None:
        self._originals = [
            (owner, name, buffer)
            for owner in block.modules()
            for name, buffer in owner.named_buffers(recurse=False)
        ]

    def __enter__(self) -> None:
        for owner, name, buffer in self._originals:
            setattr(owner, name, buffer.clone())

    def __exit__(self, *_exception: object) -> None:
        for owner, name, buffer in self._originals:
            setattr(owner, name, buffer)
