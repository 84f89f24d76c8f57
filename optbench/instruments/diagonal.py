"""The diagonal of the Gauss-Newton matrix, exactly, by single examples' Jacobians.

J_i^T H_i J_i = sum_c (J_i^T s_c) (J_i^T s_c)^T where H_i = sum_c s_c s_c^T is the Hessian of the
criterion in example i's C outputs. Its diagonal is that of the Hessian where activations are
piecewise linear and each layer's own parameters enter once.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from optbench.instruments.look import Look, Mode
from optbench.instruments.per_example import OfOneExample, Values, chosen, single, why_not
from optbench.training.batches import StepBatch

MOST_OUTPUTS = 64
"""Of an example: each takes a backward pass."""


def why_no_diagonal(look: Look, mode: Mode = "eval") -> str | None:
    """Return why there is no diagonal here, in a line; None where there is."""
    task = look.trainer.state.task
    if not task.splits:
        kind = type(task).__name__
        return f"task: the loss of {kind} is not a criterion of one model's outputs"
    if not task.curved:
        return f"task: the loss of {type(task).__name__} is linear in the outputs"
    reason = why_not(look, mode)
    if reason is not None:
        return reason
    ((batch, _),) = look.batch(1).micros
    with look.still(mode), torch.no_grad():
        outputs = task.predict(look.modules, batch, look.player.name)
    if not isinstance(outputs, Tensor):
        return "model: it gives something else than a tensor"
    if outputs.numel() > MOST_OUTPUTS:
        most = f"of which each takes a backward pass; at most {MOST_OUTPUTS}"
        return f"model: {outputs.numel()} outputs of an example, {most}"
    return None


def ggn_diagonal(look: Look, examples: int | None = None, mode: Mode = "eval") -> list[Tensor]:
    """Return the diagonal, a tensor for each parameter.

    Args:
        examples: see `per_example.chosen`.
        mode: of the modules.
    """
    return _diagonal(look, chosen(look, examples), mode)


def _diagonal(look: Look, work: StepBatch, mode: Mode) -> list[Tensor]:
    from torch.func import grad, jacrev, vmap

    total = [torch.zeros_like(p) for p in look.parameters]
    one = OfOneExample(
        look, lambda aside, batch: aside.task.predict(aside.modules, batch, look.player.name)
    )
    task = look.trainer.state.task
    shapes: list[torch.Size] = []

    def outputs(values: Values, example: Any) -> Tensor:
        found = one.of(values, example)
        shapes[:] = [found.shape]
        return found.reshape(-1)

    def criterion(flat: Tensor, example: Any) -> Tensor:
        return task.criterion(flat.reshape(shapes[0]), single(example))

    def along(values: Values, example: Any, direction: Tensor) -> Tensor:
        return outputs(values, example) @ direction

    def show(values: Values, batch: Any) -> None:
        flat = one.each(outputs, values, batch)
        inner = vmap(jacrev(jacrev(criterion)))(flat, batch)
        sizes, vectors = torch.linalg.eigh(inner)
        factors = vectors * sizes.clamp(min=0).sqrt().unsqueeze(1)
        for number in range(factors.shape[2]):
            slopes = one.each(grad(along), values, batch, factors[:, :, number])
            for sums, name in zip(total, values, strict=True):
                sums += slopes[name].square().sum(0)

    one.over(work, mode, show)
    torch._foreach_div_(total, work.examples)
    return total
