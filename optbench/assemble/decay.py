"""Another way for weight decay to enter than an optimizer's own."""

from __future__ import annotations

from typing import Any

import torch

from optbench.errors import UserError
from optbench.optim.combined import Combined
from optbench.optim.needs import needs_of


def set_decay(optimizer: torch.optim.Optimizer, policy: str) -> None:
    """Take weight decay out of the optimizer's hands and do it before each of its steps.

    With `d` the weight decay of a group:

        coupled:     g     <- g + d theta                   (L2 regularisation)
        decoupled:   theta <- theta - lr d theta            (AdamW as torch has it)
        independent: theta <- theta - lr / lr_0 d theta     (Loshchilov & Hutter 2019, algorithm 2:
                     lr / lr_0 is the schedule's multiplier, so d does not depend on lr_0. A group
                     of lr 0 does not decay)

    Parameters without a gradient stay. An optimizer that evaluates the loss itself has none before
    its step: there every parameter that wants one decays, and the loss is that of the decayed
    weights. What is around another optimizer, as SAM, leaves it to that one's step.

    Args:
        optimizer: any.
        policy: one of the above, or `own`, which changes nothing.

    Raises:
        UserError: `coupled` where the optimizer computes its gradients itself.
    """
    if policy == "own":
        return
    if isinstance(optimizer, Combined):
        for member in optimizer.members:
            set_decay(member, policy)
        return
    blind = needs_of(optimizer).closure
    if policy == "coupled" and blind:
        raise UserError(
            f"optimizer.decay=coupled: {type(optimizer).__name__} evaluates the loss itself; "
            "use decoupled, independent or own"
        )
    for group in optimizer.param_groups:
        if "weight_decay" not in group:
            raise UserError(
                f"optimizer.decay={policy}: {type(optimizer).__name__} has no weight_decay; use own"
            )
        group["decay"], group["weight_decay"] = group["weight_decay"], 0.0
        group["decay_base_lr"] = float(group["lr"])

    @torch.no_grad()
    def before_step(optimizer: Any, args: Any, kwargs: Any) -> None:
        for group in optimizer.param_groups:
            if group["decay"]:
                some = [p for p in group["params"] if p.grad is not None or blind]
                _decay(group, [p for p in some if p.requires_grad], policy)

    optimizer.register_step_pre_hook(before_step)


def _decay(group: dict[str, Any], parameters: list[torch.Tensor], policy: str) -> None:
    decay, lr = group["decay"], group["lr"]
    base = group["decay_base_lr"]
    schedule = lr / base if base else float(lr != 0)
    shrink = 1 - decay * (lr if policy == "decoupled" else schedule)
    ascent = group.get("maximize", False)  # the optimizer turns the sign of all that it is given
    for parameter in parameters:
        if policy != "coupled":
            parameter.mul_(shrink)
            continue
        gradient = parameter.grad
        assert gradient is not None
        if gradient.is_sparse:
            gradient = parameter.grad = gradient.to_dense()
        gradient.add_(parameter, alpha=-decay if ascent else decay)
