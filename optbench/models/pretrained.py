"""torchvision's trained weights, from torch.hub's cache or the network."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import torch
from torch import Tensor

from optbench.models.torchvision_model import check_name

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

TIMEOUT = 30.0  # seconds without an answer

_AUXILIARY = "AuxLogits."
"""Inception v3's auxiliary classifier, which our models leave out."""


def weights_of(model: str) -> type[WeightsEnum]:
    """Return the weights of a model by name, of which `DEFAULT` means another.

    Args:
        model: a name of `torchvision.models.list_models(module=torchvision.models)`.

    Raises:
        ValueError: if `model` is unknown.
    """
    from torchvision.models import get_model_weights

    check_name(model)
    found: type[WeightsEnum] = get_model_weights(model)
    return found


def cached(weights: WeightsEnum) -> Path:
    """Return where torch.hub keeps the file."""
    name = os.path.basename(urlparse(weights.url).path)
    return Path(torch.hub.get_dir(), "checkpoints", name)


def fetch(weights: WeightsEnum) -> None:
    """Download weights into torch.hub's cache, unless they are there, and see what they hold.

    Progress goes to standard error. What is downloaded has the checksum that is in its name.

    Raises:
        ConnectionError: if they are not there and cannot be downloaded.
        ValueError: if the file that is there is damaged, or holds more than tensors.
    """
    try:
        with _patience(), redirect_stdout(io.StringIO()):  # the bar says enough
            weights.get_state_dict(check_hash=True, map_location="cpu", weights_only=True)
    except Exception as error:  # torch's readers raise anything
        there = os.path.exists(cached(weights))
        raise (ValueError if there else ConnectionError)(_why(error)) from error


def state_of(model: str, weights: WeightsEnum) -> dict[str, Tensor]:
    """Return the state dict of weights that were fetched, with the names of today's model.

    Older files lack buffers or name layers otherwise, which torchvision's own builder knows of.
    It would run what a file holds besides tensors, which `fetch` refuses.

    Raises:
        ValueError: if the file holds something else.
    """
    from torchvision.models import get_model

    try:
        built = get_model(model, weights=weights, progress=False)
    except Exception as error:  # whatever loading a stranger's file leads to
        raise ValueError(_why(error)) from error
    state: dict[str, Tensor] = built.state_dict()
    return {key: value for key, value in state.items() if not key.startswith(_AUXILIARY)}


def _why(error: Exception) -> str:
    what = getattr(error, "reason", error)  # of urllib's, which wrap the system's
    return f"{type(what).__name__}: {' '.join(str(what).split())[:200]}"


@contextmanager
def _patience() -> Iterator[None]:
    """Wait no longer than TIMEOUT for an answer in the block; torch.hub itself waits for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
