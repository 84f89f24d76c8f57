"""Sequences drawn from a language model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

SEED = 0


def sample(
    module: Callable[..., Any], first: int, length: int, context: int, device: torch.device
) -> list[int]:
    """Return `first`, and `length` ids drawn one after the other at temperature 1.

    A model that returns its state gets one id at a time, and its state back. Any other one gets the
    last `context` ids, filled up behind, where a causal model does not look: all inputs have one
    shape, so a compiled model is compiled once. The draws come from a generator of their own with a
    fixed seed. Where the logits are not finite the sequence ends.

    Args:
        module: tokens int64 [1, T] to logits [1, T, vocabulary], or to these and a state.
        first: the id to begin with.
        length: how many follow.
        context: the most ids that the model looks at.
        device: the module's.
    """
    generator = torch.Generator().manual_seed(SEED)

    def window(ids: list[int]) -> torch.Tensor:
        return torch.tensor([ids + [0] * (context - len(ids))], device=device)

    recurrent = isinstance(module(window([first])), tuple)
    ids, state = [first], None
    while len(ids) <= length:
        if recurrent:
            last = torch.tensor([ids[-1:]], device=device)
            outputs, state = module(last) if state is None else module(last, state)
            logits = outputs[0, -1]
        else:
            recent = ids[-context:]
            logits = module(window(recent))[0, len(recent) - 1]
        logits = logits.float().cpu()
        if not logits.isfinite().all():
            break
        ids.append(int(torch.multinomial(logits.softmax(dim=0), 1, generator=generator)))
    return ids
