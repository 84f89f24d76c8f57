"""Ranges, dtypes and columns of inputs and of numbers to be predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from optbench.check.base import Finding, failed, warned
from optbench.check.scan import Scan
from optbench.check.setup import Setup
from optbench.check.structure import pair

if TYPE_CHECKING:
    from optbench.check.data import Splits

LARGE = 10.0
"""Mean or deviation of inputs that are not normalised; pixels from 0 to 255 have 33 and 79."""
SMALL = 1e-3
OFF_MEAN, OFF_STD = 0.3, 1.7
"""How far from 0, and what factor from 1, inputs may be that were standardised."""
UNLIKE_COLUMNS = 100.0
NARROW = (torch.uint8, torch.int8, torch.int16)


def swapped(batch: Any) -> Finding | None:
    """Return that examples have labels and inputs in the wrong order, None if they have not."""
    first, second = pair(batch)
    if first is None or second is None:
        return None
    one_number = first.ndim <= 1 or (first.ndim == 2 and first.shape[1] == 1)
    if not one_number or first.is_floating_point() or second.ndim < 2:
        return None
    if second[0].numel() < 4:
        return None
    return failed(
        "inputs and labels are swapped: an example is (label, image)",
        f"first {_kind(first)}, then {_kind(second)}",
        "the order in the data set's __getitem__",
        "return image, label",
    )


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape[1:])}"


def inputs(setup: Setup, splits: Splits) -> Iterator[Finding]:
    """Yield what is wrong with inputs and targets."""
    train = splits.train
    if train.dtype is None:
        return
    for each in splits.all:
        if each.bad or each.bad_targets:
            what = f"{each.bad + each.bad_targets:,} of {each.of_how_many} {each.name} examples"
            cause = "a division by 0, a logarithm, missing values"
            yield failed(f"{what} have numbers that are not finite", "", cause, "leave them out")
    if not train.dtype.is_floating_point:
        if not setup.task.tokens and getattr(setup.dataset, "vocabulary", None) is None:
            yield from _integers(setup, train)
        return
    yield from _scale(setup, train)
    yield from _columns(train)
    yield from _targets(train)


def _integers(setup: Setup, train: Scan) -> Iterator[Finding]:
    """Compare the model's outputs of whole numbers with those of the same numbers as floats."""
    name = str(train.dtype).removeprefix("torch.")
    unlike = _as_floats_gives(setup)
    assert train.dtype is not None
    top = torch.iinfo(train.dtype).max if train.dtype != torch.bool else 1
    if unlike:
        yield failed(
            f"integers overflow: {name} inputs wrap around at {top:,} inside the model",
            f"its loss is {unlike[0]:.5g}, of the same numbers as floats {unlike[1]:.5g}",
            f"arithmetic in {name} before the numbers are made floats",
            "inputs.float() first, in the data set or the model",
        )
    elif train.dtype in NARROW:
        yield warned(
            f"inputs are {name}: what is computed in it wraps around at {top:,}",
            cause="a conversion that is left to the model",
            remedy="inputs.float() / 255 in the data set",
        )


def _as_floats_gives(setup: Setup) -> tuple[float, float] | None:
    batch = setup.batch(max(2, setup.few), augmented=False)
    player = setup.players[0].name

    def changed(part: Any) -> Any:
        if isinstance(part, tuple) and hasattr(part, "_fields"):
            return part
        return type(part)([part[0].float(), *part[1:]])

    if not isinstance(batch, list | tuple):
        return None
    try:
        whole = setup.loss(batch, player, training=False)
        floats = setup.loss(changed(batch), player, training=False)
    except (RuntimeError, TypeError, ValueError, IndexError):
        return None
    return (whole, floats) if abs(whole - floats) > 1e-3 * max(1.0, abs(floats)) else None


def _scale(setup: Setup, train: Scan) -> Iterator[Finding]:
    assert train.channel_mean is not None and train.channel_std is not None
    mean, std = train.channel_mean, train.channel_std
    worst, widest = float(mean.abs().max()), float(std.max())
    said = f"inputs from {train.low:.3g} to {train.high:.3g}, mean {_list(mean)}, "
    said += f"deviation {_list(std)}"
    remedy = _normalising(setup, mean, std)
    if worst > LARGE or widest > LARGE:
        cause = "pixels from 0 to 255, or columns of other units"
        yield failed("the inputs are not normalised", said, cause, remedy, deviation=widest)
        return
    if widest < SMALL:
        yield failed("the inputs hardly differ", said, "divided twice", remedy, deviation=widest)
        return
    own_mean, own_std = setup.config.dataset.get("mean"), setup.config.dataset.get("std")
    if not _standardises(own_mean, own_std):
        return
    far = float(mean.abs().max()) > OFF_MEAN
    wide = float(std.max()) > OFF_STD or float(std.min()) < 1 / OFF_STD
    if far or wide:
        what = "dataset.mean and dataset.std do not standardise these inputs"
        yield warned(what, said, "they are another data set's", remedy)


def _standardises(mean: Any, std: Any) -> bool:
    if not isinstance(mean, list) or not isinstance(std, list):
        return False
    return any(mean) or any(each != 1 for each in std)


def _normalising(setup: Setup, mean: Tensor, std: Tensor) -> str:
    """Return the overrides that standardise, of numbers before the present ones."""
    node = setup.config.dataset
    own_mean, own_std = node.get("mean"), node.get("std")
    if isinstance(own_mean, list) and isinstance(own_std, list):
        m, s = torch.tensor(own_mean), torch.tensor(own_std)
        return f"'dataset.mean={_list(mean * s + m)}' 'dataset.std={_list(std * s)}'"
    return f"(x - {float(mean.mean()):.4g}) / {float(std.mean()):.4g} in the data set"


def _list(values: Tensor | Sequence[float]) -> str:
    numbers = [float(value) for value in values]
    more = ",..." if len(numbers) > 4 else ""
    return f"[{','.join(f'{value:.4g}' for value in numbers[:4])}{more}]"


def _columns(train: Scan) -> Iterator[Finding]:
    """Look at the columns of vectors; pixels have no meaning of their own."""
    if len(train.shape) != 1 or train.column_std is None or train.shape[0] < 2:
        return
    moving = train.column_std[train.column_std > 0]
    if train.constant:
        yield warned(
            f"{train.constant} of {train.shape[0]} columns are constant",
            cause="nothing can be learned of them",
            remedy="leave them out of the data set",
        )
    if len(moving) > 1 and float(moving.max()) > UNLIKE_COLUMNS * float(moving.min()):
        yield warned(
            "columns of very unlike scale",
            f"deviations from {float(moving.min()):.3g} to {float(moving.max()):.3g}",
            "columns of other units",
            "standardise each column in the data set",
        )


def _targets(train: Scan) -> Iterator[Finding]:
    if train.target_dtype is None or not train.target_dtype.is_floating_point:
        return
    mean, std = train.target_mean, train.target_std
    if std == 0:
        yield failed(f"all targets are {mean:.4g}", cause="a column that is not the target")
    elif abs(mean) > LARGE * std or std > LARGE**2 or std < SMALL:
        yield warned(
            "the targets are not standardised",
            f"mean {mean:.4g}, deviation {std:.4g}",
            "lr and init are made for numbers around 1",
            f"(y - {mean:.4g}) / {std:.4g} in the data set",
        )
