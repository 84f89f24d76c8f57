"""What an optimizer, or a script, may ask of one step's examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import grad

from optbench.errors import UserError
from optbench.training import rng
from optbench.training.aside import Aside
from optbench.training.batches import StepBatch
from optbench.training.capture import Capture
from optbench.training.drawn import drawn_loss
from optbench.training.many_losses import ManyLosses, Plan, Way
from optbench.training.meter import Meter
from optbench.training.position import DRAWN, GRADIENT, LOSS, PRODUCT
from optbench.training.products import (
    Linear,
    check_vectors,
    hessian_at,
    matrix_at,
    output_hessian,
    output_squares,
    several,
)
from optbench.training.sharing import share_out

Products = list[Tensor]
Evaluate = Callable[[StepBatch], Tensor]
Forward = Callable[[StepBatch, Tensor | None], Tensor]
Check = Callable[[Products], None]
Kept = dict[Any, Linear]


class Objective:
    """The loss of one step's examples as a function of one player's parameters.

    Called, it is torch's closure: it evaluates the loss and its gradients as a step of the training
    does. Everything else only looks: gradients, buffers such as batch norm's, random generators and
    what the task carries from step to step are afterwards as before. All that looks sees the same
    random numbers, as of dropout: those of the first call, so that `hvp` is of the loss whose
    gradient an optimizer was just given.

    Whatever is asked accumulates over the step's micro-batches, under autocast where there is some,
    and is averaged over ranks; every rank has to ask.

    Args:
        aside: the player's losses.
        losses: the same of many parameter vectors.
        work: the step's examples, at hand for more than one look.
        evaluate: leaves gradients of the work's loss, and gives its mean over ranks.
        forward: gives the loss as a step's forward pass does, without gradients; or takes one that
            is known.
        check: is shown each product with a matrix; it may raise.

    Attributes:
        meter: counts what is asked.

    Example:
        >>> objective = trainer.objective()
        >>> parameters = trainer.players[0].parameters
        >>> vectors = [torch.randn_like(p) for p in parameters]
        >>> products = objective.hvp(parameters, vectors)
    """

    def __init__(
        self,
        aside: Aside,
        losses: ManyLosses,
        work: StepBatch,
        evaluate: Evaluate,
        forward: Forward,
        check: Check | None = None,
    ) -> None:
        self._aside, self._losses, self._work = aside, losses, work
        self._evaluate, self._forward, self._check = evaluate, forward, check
        self.meter = Meter()
        self._start = aside.generators()
        self._captures: list[Capture] = []
        self._kept: Kept | None = None

    def __call__(self) -> Tensor:
        """Return the loss, with new gradients in the parameters: unscaled, averaged over ranks,
        clipped.

        Buffers, generators and what the task carries move as in a step.
        """
        with self.meter.asked(GRADIENT):
            return self._loss_and_gradients()

    def _loss_and_gradients(self) -> Tensor:
        self._aside.player.clear_gradients()
        if not self._captures:
            return self._evaluate(self._work)
        scaler = self._aside.precision.scaler
        scale = 1.0 if scaler is None else scaler.get_scale()
        work = self._work
        with ExitStack() as stack:
            for capture in self._captures:
                stack.enter_context(capture.evaluation(scale))
                micros = capture.told(work.micros, self._aside.task.terms)
                work = work._replace(micros=micros)
            return self._evaluate(work)

    def forward(self, known: Tensor | None = None) -> Tensor:
        """Return the loss, with no gradients; buffers, generators and what the task carries move as
        in a step.

        What looks at losses only asks for this once a step, where its parameters then stay: batch
        norm follows them, and it is the step's loss in the records.

        Args:
            known: the loss there, of an optimizer that has it already: it is recorded, and nothing
                is computed. Only where a pass moves nothing (`Plan.still`).
        """
        with self.meter.asked(LOSS if known is None else 0), torch.no_grad():
            return self._forward(self._work, known)

    def loss(self) -> Tensor:
        """Return the loss alone."""
        with self.meter.asked(LOSS):
            with self._aside.untouched(self._start), torch.no_grad():
                losses = [self._aside.loss(batch) * weight for batch, weight in self._work.micros]
            return self._mean(torch.stack(losses).sum())

    def losses(
        self,
        stacked: Sequence[Tensor],
        way: Way | None = None,
        parameters: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Return the losses [K] at K points, which are taken in the parameters' place.

        Both ways give the same up to rounding. The faster one is found out at the first call of the
        run with this K; a run that has to be the same to the bit at another time names one.

        Args:
            stacked: a tensor [K, *shape] for each parameter, in their order.
            way: `vmap`, `loop`, or None for the faster one that can.
            parameters: some or all of the player's; None is all, in their order.

        Raises:
            ValueError: tensors of other shapes, or parameters that are not the player's.
        """
        with self.meter.asked(0):
            found = self._mean(self._losses(self._work, self._start, stacked, way, parameters))
        self.meter.thirds += LOSS * len(found)
        return found

    def gradients(self, parameters: Sequence[Tensor]) -> tuple[Tensor, Products]:
        """Return the loss and its gradients, where a call would leave them in the parameters.

        It only looks, so that at another point it is the same loss of the same random numbers: what
        compares gradients at two points asks for this.

        Args:
            parameters: some or all of the player's.
        """
        with self.meter.asked(GRADIENT):
            total = [torch.zeros_like(parameter) for parameter in parameters]
            losses = []
            with self._differentiable():
                for batch, weight in self._work.micros:
                    loss = self._aside.loss(batch) * weight
                    slopes = grad(loss, parameters, materialize_grads=True)
                    torch._foreach_add_(total, [slope.to_dense() for slope in slopes])
                    losses.append(loss.detach())
            return self._mean(torch.stack(losses).sum()), [self._mean(each) for each in total]

    def plan(
        self, count: int, parameters: Sequence[Tensor] | None = None, way: Way | None = None
    ) -> Plan:
        """Return how the losses of so many points are best asked for, the same on all ranks.

        It is found out by trying, which counts nothing, but by no clock: two equal runs are told
        the same.

        Args:
            count: of points, of a step.
            parameters: as in `losses`.
            way: that it has to be; None is that which should be faster.
        """
        with self.meter.asked(0):
            found = self._losses.plan(self._work, self._start, count, parameters, way)
            return self._aside.world.from_main(found)

    def hvp(
        self, parameters: Sequence[Tensor], vectors: Sequence[Tensor], stacked: bool = False
    ) -> Products:
        """Return the Hessian of the loss times a vector.

        Args:
            parameters: some or all of the player's; the Hessian is in these.
            vectors: one tensor of each one's shape; with `stacked` [K, *shape], for K products at
                once.

        Raises:
            ValueError: something else than such lists.
        """
        check_vectors(parameters, vectors, stacked)

        def at(batch: Any, weight: float) -> Linear:
            return hessian_at(self._aside, batch, weight, parameters)

        return self._products("hessian", at, parameters, vectors, stacked)

    def ggnvp(
        self, parameters: Sequence[Tensor], vectors: Sequence[Tensor], stacked: bool = False
    ) -> Products:
        """Return the generalized Gauss-Newton matrix times a vector: J^T H J v (Schraudolph 2002).

        J is the Jacobian of the model's outputs in the parameters, H the Hessian of the criterion
        in these outputs. J v is taken by differentiating J^T u in u, which any model allows whose
        gradients can be differentiated.

        Args:
            parameters: some or all of the player's.
            vectors, stacked: as for `hvp`.

        Raises:
            ValueError: something else than such lists.
            UserError: the task's loss is no criterion of one model's outputs, or is linear in them,
                so that the matrix is 0.
        """
        return self._output_products(output_hessian, parameters, vectors, stacked)

    def efvp(
        self, parameters: Sequence[Tensor], vectors: Sequence[Tensor], stacked: bool = False
    ) -> Products:
        """Return the empirical Fisher matrix times a vector: the mean of g_i (g_i^T v).

        g_i is the gradient of example i's own loss. Examples are what the outputs have along their
        first dimension, and the criterion their mean.

        Args:
            parameters: some or all of the player's.
            vectors, stacked: as for `hvp`.

        Raises:
            ValueError: something else than such lists.
            UserError: the task's loss is no criterion of one model's outputs.
        """
        return self._output_products(output_squares, parameters, vectors, stacked)

    @contextmanager
    def capture(self, layers: Sequence[nn.Module]) -> Iterator[Capture]:
        """Record inputs and output gradients of modules in each call of the objective.

        Args:
            layers: modules of the player's, each of which gives one tensor.

        Example:
            >>> with objective.capture([layer]) as seen:
            ...     objective()
            >>> gradient = sum(
            ...     each.weight * each.output_gradients.T @ each.inputs for each in seen[layer]
            ... )
        """
        with Capture(layers).hooked() as capture:
            self._captures.append(capture)
            try:
                yield capture
            finally:
                self._captures.remove(capture)

    def mean(self, tensors: Sequence[Tensor]) -> Products:
        """Return the means over ranks of what each reckoned of its own micro-batches."""
        return [self._mean(tensor) for tensor in tensors]

    def drawn(self, seed: int) -> Tensor:
        """Return the loss against targets drawn from what the model predicts, for `capture`.

        With the gradients that a capture has seen then, E[g g^T] is the Fisher matrix. Parameters
        get no gradients, and keep those that they have. The draws follow from the seed and an
        example's place in the step, however it is cut among micro-batches and ranks.

        Raises:
            UserError: the task's loss is no likelihood.

        Example:
            >>> with objective.capture([layer]) as seen:
            ...     objective.drawn(seed=step)
        """
        with self.meter.asked(DRAWN):
            return self._mean(
                drawn_loss(self._aside, self._work, self._start, self._captures, seed)
            )

    @property
    def ranks(self) -> int:
        """How many there are."""
        return self._aside.world.size

    def share_out(
        self,
        costs: Sequence[float],
        results: Sequence[Sequence[Tensor]],
        compute: Callable[[int], None],
    ) -> None:
        """Have each of several jobs done by one rank, and give its results to all.

        Args:
            costs: of the jobs, in any unit: the dearest goes first, to whoever has least to do.
            results: of each job, tensors of the same shapes on every rank, to be filled.
            compute: does the job of a number.
        """
        share_out(self._aside.world, costs, results, compute)

    def _output_products(
        self,
        inner: Callable[..., Linear],
        parameters: Sequence[Tensor],
        vectors: Sequence[Tensor],
        stacked: bool,
    ) -> Products:
        check_vectors(parameters, vectors, stacked)
        aside = self._aside
        if not aside.task.splits:
            raise UserError(
                f"task: the loss of {type(aside.task).__name__} is not a criterion of one model's "
                "outputs, so it has no Gauss-Newton matrix"
            )

        def at(batch: Any, weight: float) -> Linear:
            return matrix_at(aside, inner, batch, weight, parameters)

        return self._products(inner.__name__, at, parameters, vectors, stacked)

    def _products(
        self,
        name: str,
        at: Callable[[Any, float], Linear],
        parameters: Sequence[Tensor],
        vectors: Sequence[Tensor],
        stacked: bool,
    ) -> Products:
        """Return the sum over micro-batches, None being 0, averaged over ranks."""
        with self.meter.asked(0):
            total = [torch.zeros_like(vector) for vector in vectors]
            kept = None if stacked else self._kept
            with nullcontext() if kept is not None else self._differentiable():
                for batch, weight in self._work.micros:
                    make = partial(at, batch, weight)
                    if stacked:
                        products = several(self._aside, make, vectors)
                    elif kept is None:
                        products = make()(vectors, False, False)
                    else:
                        found = self._at_rest(kept, (name, *map(id, parameters)), make)
                        products = found(vectors, False, True)
                    if products is not None:
                        torch._foreach_add_(total, list(products))
            means = self.mean(total)
            if self._check is not None:
                self._check(means)
        self.meter.thirds += PRODUCT * (len(vectors[0]) if stacked and vectors else 1)
        return means

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Have what products have in common computed once: in the block the parameters stay where
        they are, and nothing but products, one by one, is asked.

        A step of several micro-batches computes it anew each time, for it would have to keep all
        their graphs.
        """
        if self._work.parts > 1:
            yield
            return
        self._kept = {}
        try:
            with self._differentiable():
                yield
        finally:
            self._kept = None

    def _at_rest(self, kept: Kept, key: Any, make: Callable[[], Linear]) -> Linear:
        """Return what was computed, or compute it with the first call's random numbers."""
        if key not in kept:
            rng.set_generators(self._start)
            kept[key] = make()
        return kept[key]

    def _differentiable(self) -> AbstractContextManager[None]:
        return self._aside.twice_differentiable(self._start)

    def _mean(self, value: Tensor) -> Tensor:
        return self._aside.world.mean(value)
