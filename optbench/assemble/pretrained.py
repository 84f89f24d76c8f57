"""torchvision's weights by name, for the run's model of torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optbench.config.paths import PRETRAINED
from optbench.config.run_config import RunConfig
from optbench.config.suggest import did_you_mean, nearest
from optbench.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from optbench.training.distributed import World

_MODEL = "optbench.models.torchvision_model.torchvision_classifier"


def pretrained(config: RunConfig, world: World) -> dict[str, Tensor]:
    """Return the state dict that `weights=torchvision` or `weights=torchvision:NAME` means.

    Args:
        world: the ranks; rank 0 downloads before the others look.

    Raises:
        UserError: another model, no such weights, no network.
    """
    said, name = f"weights={config.weights.path}", str(config.weights.path).partition(":")[2]
    if config.model["_target_"] != _MODEL:
        raise UserError(f"{said}: for model=torchvision, such as model.name=resnet18, only")
    from optbench.models.pretrained import cached, fetch, state_of, weights_of

    model = config.model["name"]
    try:
        there = weights_of(model)
    except ValueError as error:
        raise UserError(f"model: {error}") from None
    weights = there[_chosen(said, model, name, there.__name__, list(there.__members__))]

    try:
        world.on_main(lambda: fetch(weights))
        if not world.is_main:
            fetch(weights)  # its machine may be another
        return state_of(model, weights)
    except ConnectionError as error:
        raise UserError(
            f"{said}: {weights.url} can't be downloaded ({error}); "
            f"without a network, put the file into {cached(weights).parent}"
        ) from None
    except ValueError as error:
        raise UserError(
            f"{said}: {cached(weights)} can't be read ({error}); "
            "once it is deleted, it is downloaded anew"
        ) from None


def _chosen(said: str, model: str, name: str, group: str, names: Sequence[str]) -> str:
    """Return which weights are chosen; torchvision's `ResNet18_Weights.DEFAULT` is its `DEFAULT`.

    Args:
        name: as it was given, "" for the default.
        group: of all weights of the model.
    """
    owner, _, last = (name or "DEFAULT").rpartition(".")
    if last in names and owner in ("", group):
        return last
    if last in names:
        raise UserError(f"{said}: model.name={model} has {group}.{last}")
    raise UserError(f"{said}: {model} has no such weights; {did_you_mean(last, names)}")


def meant(word: str, config: RunConfig) -> str | None:
    """Return what a path that is not there probably means: weights of torchvision, if any."""
    head, colon, name = word.partition(":")
    if nearest(head, [PRETRAINED]):
        return PRETRAINED + colon + name
    if config.model["_target_"] != _MODEL:
        return None
    from optbench.models.pretrained import weights_of

    try:
        found = nearest(word, weights_of(config.model["name"]).__members__)
    except ValueError:  # no such model
        return None
    return f"{PRETRAINED}:{found}" if found else None
