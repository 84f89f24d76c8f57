"""Schedulers of `torch.optim.lr_scheduler`, and classes made like them."""

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch.optim.lr_scheduler import ExponentialLR, MultiStepLR, ReduceLROnPlateau, StepLR

from optbench.schedules.saving import kind, merged
from optbench.torch_internals import set_last_lr

MOST_TRIED = 10_000
"""Steps that are tried before a run; they take less than a second."""

MakeScheduler = Callable[[torch.optim.Optimizer], Any]


class TorchScheduler:
    """Makes a schedule of a torch scheduler, which drives an optimizer of its own.

    That optimizer has one parameter group of one number with the learning rate and momentum of
    the real one's first group; the multiplier is its learning rate over the base one. So
    absolute rates (`eta_min`, `max_lr`) mean what they say for the first group, and the
    other groups keep their ratio to it.

    The scheduler steps once every `every` updates, not once an epoch. One whose `step`
    can't do without a metric (`ReduceLROnPlateau`) steps at each record with `metric` in
    it instead, and is reactive.

    Args:
        make: makes the scheduler for an optimizer.
        lr: base learning rate, positive.
        momentum: of the real optimizer (of Adam's kin: betas), or None if it has none.
        every: updates between two steps, at least 1.
        metric: tag of the metric that it steps on, for those that need one.
        settings: what `make` was made of, as plain data. A state that was saved under others is not
            gone on from: the scheduler is stepped to the present step anew. One that steps on a
            metric keeps what it has observed, and the factor that it has come to, and takes the
            rest from the new settings.

    Raises:
        ValueError: the scheduler refuses its arguments, or `metric` is missing or of no use.

    References:
        `torch.optim.lr_scheduler`.
    """

    counting_warmup: ClassVar[tuple[type, ...]] = (StepLR, MultiStepLR, ExponentialLR)
    """Whose steps count a warmup before them, as do those of the same three of ours."""

    def __init__(
        self,
        make: MakeScheduler,
        lr: float,
        momentum: float | tuple[float, ...] | None = None,
        every: int = 1,
        metric: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        if lr <= 0:
            raise ValueError(f"a torch scheduler needs a positive lr, got {lr}")
        self._make, self._lr, self._own, self.every = make, lr, momentum, every
        self._start()
        self._first = copy.deepcopy(self._scheduler.state_dict()) if self._needs_metric else None
        self.counts_warmup = isinstance(self._scheduler, self.counting_warmup)
        name = type(self._scheduler).__name__
        if self._needs_metric and metric is None:
            raise ValueError(f"{name} steps on a metric: metric has to name one, such as val/loss")
        if metric is not None and not self._needs_metric:
            raise ValueError(f"metric={metric}: {name} takes none")
        self._metric = metric
        self._settings = {
            **{"scheduler": kind(self._scheduler), "made_of": settings, "every": every},
            **{"lr": lr, "momentum": momentum, "metric": metric},
        }

    def _start(self) -> None:
        parameter = torch.zeros(1, requires_grad=True)
        if isinstance(self._own, tuple):
            betas = (self._own[0], self._own[1] if len(self._own) > 1 else 0.999)
            self._optimizer: torch.optim.Optimizer = torch.optim.Adam([parameter], self._lr, betas)
        else:
            self._optimizer = torch.optim.SGD([parameter], self._lr, self._own or 0.0)
        self._scheduler = self._make(self._optimizer)
        for member in ("step", "state_dict", "load_state_dict"):
            if not callable(getattr(self._scheduler, member, None)):
                raise ValueError(f"{type(self._scheduler).__name__} has no {member}()")
        self._needs_metric = _needs_metric(self._scheduler)
        self._steps = 0

    def check(self, step: int) -> None:
        """Try all updates up to `step`, at most so many that it is done at once.

        Raises:
            ValueError: the scheduler can't go that far.
        """
        if self._needs_metric:
            return
        steps, name = step // self.every, type(self._scheduler).__name__
        most = getattr(self._scheduler, "total_steps", None)
        if isinstance(most, int) and most < steps:
            what = f"{name} has to step {steps} times; take as many, or more"
            raise ValueError(f"total_steps={most}: {what}")
        try:
            self._go_to(min(steps, MOST_TRIED))
        except Exception as error:
            message = f"{name} fails at step {self._steps + 1} of {steps}: {error}"
            raise ValueError(message) from error
        finally:
            self._start()

    def __call__(self, step: int, total_steps: int) -> float:
        if not self._needs_metric:
            self._go_to(step // self.every)
        return float(self._optimizer.param_groups[0]["lr"]) / self._lr

    def _go_to(self, steps: int) -> None:
        if steps < self._steps:
            self._start()
        while self._steps < steps:
            self._step()

    def _step(self, *metric: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the order, which is right
            self._optimizer.step()
            self._scheduler.step(*metric)
        self._steps += 1

    def momentum(self, step: int, total_steps: int) -> float | None:
        """Return what the scheduler made of the momentum; `None` if it left it alone."""
        self(step, total_steps)
        group = self._optimizer.param_groups[0]
        if not getattr(self._scheduler, "cycle_momentum", False):
            return None
        return float(group["betas"][0] if "betas" in group else group["momentum"])

    def __getattr__(self, name: str) -> Any:
        # Only those that need a metric are reactive.
        if name in ("metric", "observe") and self.__dict__.get("_needs_metric"):
            return self._metric if name == "metric" else self._observe
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _observe(self, metrics: Mapping[str, float]) -> None:
        if self._metric is not None and self._metric in metrics:
            self._step(float(metrics[self._metric]))

    def state_dict(self) -> dict[str, Any]:
        """Return all that `load_state_dict` needs to go on from here."""
        group = self._optimizer.param_groups[0]
        return {
            "settings": self._settings,
            "start": self._first,
            "steps": self._steps,
            "scheduler": self._scheduler.state_dict(),
            "group": {k: v for k, v in group.items() if k != "params"},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken, under the settings that hold now."""
        self._start()
        then, now = state["settings"], self._settings
        if then == now:
            self._scheduler.load_state_dict(state["scheduler"])
            self._optimizer.param_groups[0].update(state["group"])
            self._steps = state["steps"]
        elif self._needs_metric and then["scheduler"] == now["scheduler"]:
            self._adopt(state)

    def _adopt(self, state: Mapping[str, Any]) -> None:
        """Take over what was observed of this run, and what that made of the learning rate."""
        fresh, then = self._scheduler.state_dict(), state["settings"]
        if then["metric"] == self._metric:
            self._scheduler.load_state_dict(merged(state["scheduler"], state["start"], fresh))
            self._steps = state["steps"]
        group = self._optimizer.param_groups[0]
        group["lr"] = state["group"]["lr"] / then["lr"] * self._lr
        set_last_lr(self._scheduler, [group["lr"]])


def _needs_metric(scheduler: Any) -> bool:
    if isinstance(scheduler, ReduceLROnPlateau):
        return True
    parameters = [
        p
        for p in inspect.signature(scheduler.step).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return bool(parameters) and parameters[0].default is inspect.Parameter.empty
