"""Whether runs can be trained at once, tried on two of them before any begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from optbench.data.permutation import Span
from optbench.monitor.flops import counter
from optbench.optim.needs import needs_of
from optbench.training import rng
from optbench.training.aside import Aside
from optbench.training.attention_scores import AttentionScores
from optbench.training.room import forward_pass, tensor_bytes
from optbench.training.together.core import Core
from optbench.training.together.openblas import is_faster
from optbench.training.together.scores import ROOM
from optbench.training.together.stack import batch_stack
from optbench.training.together.traced import OFTEN
from optbench.training.together.update import NUMBERS, rule_of
from optbench.training.trainer import Trainer

NOT_BY_VMAP = (RuntimeError, NotImplementedError, ValueError, TypeError)
"""What torch raises where vmap can't."""

COPIES = 5
"""Numbers for each of a parameter's beside the optimizer's state: itself, its gradient twice, and
what an update computes."""


@dataclass(frozen=True)
class Trial:
    """What a trial has found.

    Attributes:
        why_not: why these runs can't be trained at once, in words; None where they can.
        draws: whether a forward pass drops something.
        member_bytes: what a member takes of memory as long as it is there.
        held_bytes: what its forward pass keeps for the backward pass.
        score_bytes: what scoring its validation set takes, when the pass has been freed.
        score_most: what scoring takes at most, however many members there are.
        work: floating-point operations of a member's forward and backward pass.
        faster_products: whether these are products that take less time at once than a run's own.
        numbers: a member has of parameters.
    """

    why_not: str | None = None
    draws: bool = False
    member_bytes: int = 0
    held_bytes: int = 0
    score_bytes: int = 0
    score_most: int = 0
    work: int = 0
    faster_products: bool = False
    numbers: int = 0

    def bytes_of(self, members: int) -> int:
        """Return the bytes of memory that so many members take."""
        scoring = min(members * self.score_bytes, self.score_most)
        return members * self.member_bytes + max(members * self.held_bytes, scoring)

    def members_in(self, size: float) -> int:
        """Return how many members fit into so many bytes."""
        stepped = size // max(1, self.member_bytes + self.held_bytes)
        few = size // max(1, self.member_bytes + self.score_bytes)
        many = (size - self.score_most) // max(1, self.member_bytes)
        return int(min(stepped, max(few, many)))


def try_together(trainers: Sequence[Trainer]) -> Trial:
    """Try two runs that are alike; they are of no other use afterwards.

    Their losses and gradients have to be those of each alone, up to rounding.
    """
    why = next(filter(None, map(_why_alone, trainers)), None) or _unlike(*trainers)
    if why is not None:
        return Trial(why)
    alone = [_Alone(trainer) for trainer in trainers]
    with counter() as counted:
        found = [each.gradients() for each in alone]
    draws = any(each.draws for each in alone)
    try:
        batch = batch_stack([each.batch for each in alone])
        core = Core(
            [trainer.steps[0] for trainer in trainers],
            [trainer.feed for trainer in trainers],
            [each.generator() for each in alone] if draws else None,
        )
        losses = core.loss.gradients(batch)
    except NOT_BY_VMAP as error:
        said = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        return Trial(f"vmap can't do its loss ({said[:160]})")
    for number, (loss, gradients) in enumerate(found):
        stacked = [stack[number] for stack in core.gradients]
        if not (_close([losses[number]], [loss]) and _close(stacked, gradients)):
            return Trial("vmap gives other losses or gradients than a run alone has")
    work = counted.get_total_flops() // len(trainers)
    faster = _faster_products(core, trainers[0], batch)
    score, most = _scoring(trainers[0], alone[0].example_bytes())
    held = max(each.held for each in alone)
    own = sum(parameter.numel() for parameter in trainers[0].players[0].parameters)
    taken = _bytes(core, trainers[0])
    return Trial(None, draws, taken, held, score, most, work, faster, own)


def _why_alone(trainer: Trainer) -> str | None:
    """Return what of a run no other could share a step with."""
    state, feed = trainer.state, trainer.feed
    player = state.players[0]
    optimizer, name = player.optimizer, type(player.optimizer).__name__
    needs, follows = needs_of(optimizer), player.hyperparameters
    narrow = {p.dtype for p in player.parameters} - {*NUMBERS}
    several = len(state.players) > 1 or player.every > 1
    uncommon = hasattr(optimizer, "resting") or hasattr(optimizer, "measured")
    rule = rule_of(optimizer, optimizer.param_groups[0])
    reasons = {
        "it has several players": several,
        "several ranks train it": state.world.size > 1,
        "its numbers are of mixed precision": state.precision.autocast is not None,
        "a gradient scaler steps it": state.precision.scaler is not None,
        "a batch is worked through in parts": feed.accumulate > 1,
        "it has very many examples": isinstance(feed.indices, Span),
        "its task carries a state from step to step": state.task.carries,
        f"{name} asks for more than gradients": needs.closure or needs.create_graph,
        f"{name} has no update for many models at once": rule is None or uncommon,
        "its schedule looks at every update": follows.watches_updates,
        "its parameters are of a narrow or complex type": bool(narrow),
        "it trains nothing": not player.parameters,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _unlike(one: Trainer, other: Trainer) -> str | None:
    """Return what two runs do not have in common that they would have to."""
    first, second = one.players[0], other.players[0]
    shapes = [
        [(name, tensor.shape, tensor.dtype) for name, tensor in player.module.state_dict().items()]
        for player in (first, second)
    ]
    groups = [
        [[p.shape for p in group["params"]] for group in each.optimizer.param_groups]
        for each in (first, second)
    ]
    lengths = [
        (t.settings.total_steps, t.feed.batch_size, len(t.feed.indices)) for t in (one, other)
    ]
    if shapes[0] != shapes[1]:
        return "their models' shapes differ"
    if groups[0] != groups[1]:
        return "their parameter groups differ"
    return "their lengths differ" if lengths[0] != lengths[1] else None


class _Alone:
    """A run's first loss and gradients, as it would have them alone."""

    def __init__(self, trainer: Trainer) -> None:
        step, state = trainer.steps[0], trainer.state
        self._aside = Aside(step.player, step.bare, step.task, step.precision, state.world)
        self._parameters, self._device = step.player.parameters, state.world.device
        self._seed, self._module = trainer.feed.seed, step.player.module
        work = trainer.feed.step_at(state.progress.epoch, state.progress.index)
        self.batch: Any = next(iter(work.micros)).batch
        self._examples = work.examples
        self.held, self.draws = 0, False

    def generator(self) -> torch.Generator:
        """Return a generator that begins as the pass alone did."""
        return torch.Generator(device=self._device).manual_seed(self._seed)

    def example_bytes(self) -> int:
        """Return what a pass without gradients takes for each example, of its largest layer."""
        start = rng.generators(self._device)
        with self._aside.untouched(start), torch.no_grad():
            taken = forward_pass([self._module], lambda: self._aside.loss(self.batch))
        return taken.bytes // self._examples

    def gradients(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return loss and gradients; note what the pass keeps by vmap, and whether it draws."""
        own = {p.untyped_storage().data_ptr() for p in self._parameters}
        kept: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        seeded = torch.Generator().manual_seed(self._seed).get_state()
        start = rng.generators(self._device)._replace(cpu=seeded)
        self._aside.player.forward.train()
        keeping = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with self._aside.untouched(start), torch.enable_grad():
            with keeping, AttentionScores() as scores:
                loss = self._aside.loss(self.batch)
            found = torch.autograd.grad(loss, self._parameters, allow_unused=True)
            self.draws = not rng.same(start, self._aside.generators())
        self.held = sum(kept.values()) + scores.unmade
        zeros = [torch.zeros(()) if g is None else g for g in found]
        return loss.detach(), tuple(zeros)


def _scoring(trainer: Trainer, example: int) -> tuple[int, int]:
    """Return what scoring the validation set at once takes of a member, and at most.

    Args:
        example: bytes of a forward pass for each example.
    """
    validation, settings = trainer.evaluations.validation, trainer.settings
    if validation is None:
        return 0, 0
    own = min(settings.eval_batch_size, len(validation.indices))
    most = max(own, ROOM * trainer.feed.batch_size)  # one by one where not even two fit
    return own * example, most * example


def _faster_products(core: Core, trainer: Trainer, batch: Any) -> bool:
    """Return whether most steps' products are left to OpenBLAS, and that is the faster one.

    Convolutions are not.

    Args:
        batch: stacked, of the first step.
    """
    steps = trainer.settings.total_steps * core.feed.share_like(batch)
    flat = all(parameter.ndim <= 2 for parameter in trainer.players[0].parameters)
    return core.loss.repeats and steps >= OFTEN and flat and is_faster()


def _bytes(core: Core, trainer: Trainer) -> int:
    """Return what a member's tensors take, without what a pass keeps.

    An average of its weights is copied once more where members are scored.
    """
    members = len(core.steps)
    own = tensor_bytes([group.weights.flat for group in core.update.groups]) // members
    states = max(len(group.rule.state_names) for group in core.update.groups)
    others = tensor_bytes(core.modules.others.values()) // members
    averages = 0 if trainer.players[0].ema is None else 2
    return own * (COPIES + states + averages) + others


def _close(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Return whether tensors agree up to half the digits of the largest number in them."""
    pairs = list(zip(some, others, strict=True))
    if not all(one.shape == other.shape and one.dtype == other.dtype for one, other in pairs):
        return False
    digits = torch.finfo(some[0].dtype).eps ** 0.5
    least = digits * max(float(other.abs().max()) for other in others if other.numel())
    return all(torch.allclose(one, other, digits, least, equal_nan=True) for one, other in pairs)
