"""A schedule from its node: lengths to steps, parts, warmup before it. No torch of its own."""

from __future__ import annotations

import copy
import inspect
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from optbench.assemble.create import call, create, locate, parameters_of
from optbench.assemble.milestones import refuse_unreached
from optbench.assemble.own import module_of, told
from optbench.assemble.replay import REPLAY, build_replay
from optbench.config.counted import counted
from optbench.config.fields import LENGTHS
from optbench.config.flow import flow
from optbench.config.lengths import Length
from optbench.config.schedules import VALUE_KEYS
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.schedules.base import Schedule, has_state
from optbench.schedules.chain import Chain, Part
from optbench.schedules.resumed import Resumed
from optbench.schedules.value import Setting, ValueSchedule
from optbench.schedules.warmup import Warmup

OURS = ("warmup_steps", "warmup", "warmup_start", "for", "scale")
"""Keys of a schedule's node that are not the schedule's own arguments."""

TORCH = "optbench.schedules.torch_scheduler.TorchScheduler"
CHAIN = "optbench.schedules.chain.Chain"


@dataclass(frozen=True)
class Base:
    """What a schedule starts from: the learning rate, and the momentum or betas if there are."""

    lr: float
    momentum: float | tuple[float, ...] | None = None

    @classmethod
    def of(cls, group: Mapping[str, Any], lr: float | None = None) -> Base:
        """Return the base of a parameter group, or of an optimizer's node."""
        betas = group.get("betas")
        momentum = tuple(betas) if betas is not None else group.get("momentum")
        return cls(float(group["lr"] if lr is None else lr), momentum)


def build_schedule(
    node: Mapping[str, Any],
    steps_per_epoch: int,
    total_steps: int,
    base: Base | None = None,
    key: str = "schedule",
    last: int | None = None,
) -> Schedule:
    """Return the schedule of a node.

    Args:
        node: the config's `schedule`, or one inside it, expanded.
        steps_per_epoch, total_steps: what its lengths are measured with.
        base: what it starts from, for torch's schedulers; None is a learning rate of 1.
        key: of the node, for messages.
        last: the step that it is asked for last; by default the run's end.

    Raises:
        UserError: a schedule refuses its arguments, can't go on to the last step, or has lengths
            that are longer than the run, or milestones that are never reached.
    """
    lengths = _Lengths(steps_per_epoch, total_steps)
    warmup = lengths(node.get("warmup_steps", 0))
    if warmup > total_steps:
        raise UserError(
            f"{key}.warmup_steps={node['warmup_steps']}: {counted(warmup, 'step')}, "
            f"longer than the run of {total_steps}"
        )
    own = {k: lengths(v) if k in LENGTHS else v for k, v in node.items() if k not in OURS}
    end = total_steps if last is None else last
    update = min(end, total_steps - 1)  # the last that it has a say in
    schedule: Schedule
    if own["_target_"] == CHAIN:
        schedule = _chain(own["parts"], lengths, total_steps - warmup, base, key)
    elif own["_target_"] == TORCH:
        schedule = _torch(own, lengths, warmup, base or Base(1.0), key, end, update)
    elif own["_target_"] == REPLAY:

        def inside(inner: Mapping[str, Any]) -> Schedule:
            return build_schedule(inner, steps_per_epoch, total_steps, base, f"{key}.file")

        schedule = build_replay(node, total_steps - warmup, key, inside)
    elif "arguments" in own and set(own) == {"_target_", "arguments"}:
        schedule = _custom(own, key, total_steps)
    else:
        schedule = create(own, key)
        refuse_unreached(node, own, 1, warmup, update, key)
    before = 0 if getattr(schedule, "counts_warmup", False) else warmup
    for step in (0,) if has_state(schedule) else (max(end - before, 0), 0):
        _check_at(step, schedule, max(total_steps - before, 1), key)
    if not warmup:
        return schedule
    return Warmup(schedule, warmup, node["warmup"], node["warmup_start"])


@dataclass(frozen=True)
class _Lengths:
    """Turns lengths, and lists of them, into steps."""

    steps_per_epoch: int
    total_steps: int

    def __call__(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self(item) for item in value]
        if value is None:
            return None
        return Length.parse(value).steps(self.steps_per_epoch, self.total_steps)

    def where_written(self, value: Any) -> Any:
        """Return the steps for texts such as `5ep` and `10%`; leave anything else as it is."""
        if isinstance(value, list):
            return [self.where_written(item) for item in value]
        try:
            return self(value) if isinstance(value, str) else value
        except ValueError:
            return value


def _chain(
    nodes: list[Mapping[str, Any]], lengths: _Lengths, total: int, base: Base | None, key: str
) -> Chain:
    parts, used = [], 0
    for index, node in enumerate(nodes):
        steps = lengths(node.get("for"))
        length = max(total - used, 1) if steps is None else steps
        at = f"{key}.parts[{index}]"
        last = None if steps is None else length - 1
        schedule = build_schedule(node, lengths.steps_per_epoch, length, base, at, last)
        parts.append(Part(schedule, steps, node.get("scale", 1.0)))
        used += steps or 0
        if used >= total:
            took = counted(used, "step")
            taking = f"the first {index + 1} parts take {took}" if index else took
            raise UserError(
                f"{at}.for={node['for']}: {taking}, where the whole has {total}: "
                "none are left for the rest"
            )
    chain: Chain = call(Chain, key, parts)
    return chain


def _torch(
    node: Mapping[str, Any],
    lengths: _Lengths,
    warmup: int,
    base: Base,
    key: str,
    end: int,
    update: int,
) -> Schedule:
    """Return one of torch's; a part of the run in its arguments is one of the steps it counts."""
    cls = _torch_class(node, key)
    written = _arguments(node, key)
    _check_arguments(cls, written, key)
    target = locate(TORCH, key)
    if not (inspect.isclass(cls) and issubclass(cls, target.counting_warmup)):
        lengths = replace(lengths, total_steps=max(lengths.total_steps - warmup, 1))
        end, warmup = max(end - warmup, 0), 0
    given = {k: lengths.where_written(v) for k, v in written.items()}
    refuse_unreached(written, given, node["every"], warmup, update, f"{key}.arguments")
    own = (partial(cls, **given), base.lr, base.momentum, node["every"], node["metric"], given)
    schedule = call(target, key, *own)
    call(schedule.check, key, end)
    checked: Schedule = schedule
    return checked


NEVER = ("last_epoch", "verbose")
"""Arguments of torch's schedulers that nobody sets here."""


def _check_arguments(cls: Any, written: Mapping[str, Any], key: str) -> None:
    """Refuse arguments that a scheduler does not take, and one that it lacks."""
    takes = dict(list(parameters_of(cls).items())[1:])  # without the optimizer
    if not takes or any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in takes.values()):
        return
    for name in written:
        if name not in takes:
            own = [each for each in takes if each not in NEVER]
            hint = did_you_mean(str(name), own) if own else "it takes none"
            raise UserError(f"{key}.arguments.{name}: {cls.__name__} takes none such; {hint}")
    needed = [name for name, each in takes.items() if each.default is each.empty]
    lacking = [name for name in needed if name not in written]
    if lacking:
        said = {**written, **dict.fromkeys(lacking, "...")}
        line = shlex.quote(f"{key}.arguments={flow(said)}")
        line = f"arguments: {flow(said)}" if "[" in key else line
        raise UserError(f"{key}: {cls.__name__} needs {', '.join(lacking)}; write {line}")


def _torch_class(node: Mapping[str, Any], key: str) -> Any:
    name = node["scheduler"]
    if not name:
        raise UserError(f"{key}.scheduler=null: which one? StepLR, or my.module.Class")
    from torch.optim import lr_scheduler

    if "." in str(name):
        return locate(str(name), f"{key}.scheduler")
    known = [
        k
        for k, v in vars(lr_scheduler).items()
        if inspect.isclass(v) and issubclass(v, lr_scheduler.LRScheduler) and k[0] != "_"
    ]
    if name not in known:
        nearest = did_you_mean(str(name), known)
        raise UserError(f"{key}.scheduler={name}: torch has no such scheduler; {nearest}")
    return getattr(lr_scheduler, str(name))


def _custom(node: Mapping[str, Any], key: str, total_steps: int) -> Schedule:
    path = node["_target_"]
    if not path:
        raise UserError(
            f"{key}._target_=null: which class? such as {key}._target_=my.module.my_schedule"
        )
    target = locate(str(path), f"{key}._target_")
    given = _arguments(node, key)
    if inspect.isclass(target):
        schedule: Schedule = call(target, key, **given)
    else:
        schedule = partial(target, **given)
    if not callable(schedule):
        raise UserError(f"{key}._target_={path}: can't be called with (step, total_steps)")
    return Resumed(schedule, [given, total_steps]) if has_state(schedule) else schedule


def _arguments(node: Mapping[str, Any], key: str) -> dict[str, Any]:
    given = node["arguments"]
    if given is not None and not isinstance(given, Mapping):
        raise UserError(f"{key}.arguments={given}: expected a mapping, such as {{gamma: 0.5}}")
    return dict(given or {})


def _check_at(step: int, schedule: Schedule, total_steps: int, key: str) -> None:
    """Raise UserError unless the multiplier is one at this step, the run's first or last.

    A schedule with a state is afterwards as if nobody had asked it.
    """
    try:
        state = copy.deepcopy(schedule.state_dict()) if has_state(schedule) else None
        found = schedule(step, total_steps)
        if state is not None:
            schedule.load_state_dict(state)  # type: ignore[attr-defined]
    except Exception as error:  # a user's own may raise anything
        inner = getattr(schedule, "inner", schedule)  # of one that is resumed exactly
        own = [module_of(getattr(inner, "func", inner))]
        raise told(error, f"{key}: at step {step}", own) from error
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if not number or not math.isfinite(found) or found < 0:
        raise UserError(
            f"{key}: gives {found!r} at step {step}; expected a finite multiplier of lr, at least 0"
        )


def build_values(
    config: Any, steps_per_epoch: int, total_steps: int, settings: Mapping[str, Any]
) -> list[ValueSchedule]:
    """Return the schedules of momentum, beta2 and weight decay.

    Args:
        config: a `RunConfig`.
        steps_per_epoch, total_steps: what lengths are measured with.
        settings: the optimizer's, to see whether it has what is to be moved.

    Raises:
        UserError: the optimizer has no such setting, or the schedule reacts to the run.
    """
    values = []
    lengths = _Lengths(steps_per_epoch, total_steps)
    for key in VALUE_KEYS:
        node = getattr(config, key)
        if node is None:
            continue
        setting: Setting = key.removesuffix("_schedule")  # type: ignore[assignment]
        betas = settings.get("betas") or ()
        has = {"momentum": len(betas) > 0, "beta2": len(betas) > 1}.get(setting, False)
        if not has and (setting == "beta2" or setting not in settings):
            raise UserError(f"{key}: {config.optimizer['_target_']} has no {setting}")
        own = {k: v for k, v in node.items() if k not in ("from", "to")}
        steps = lengths(node["for"])
        schedule = build_schedule(own, steps_per_epoch, steps or total_steps, key=key, last=steps)
        values.append(call(ValueSchedule, key, setting, schedule, node["to"], node["from"], steps))
    return values
