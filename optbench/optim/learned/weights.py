"""A learned rule's weights in a file: safetensors, of which a small part is enough here."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optbench.optim.learned.base import LearnedRule
from optbench.optim.learned.lstm import CoordinateLSTM
from optbench.optim.learned.mlp import ParameterMLP

ARCHITECTURES: dict[str, LearnedRule] = {"lstm": CoordinateLSTM(), "mlp": ParameterMLP()}
DEFAULT = Path(__file__).with_name("default.safetensors")
"""Meta-trained by us; default.yaml beside it says how."""
MOST_BYTES = 1 << 20
_LENGTH = 8


def save_rule(weights: Mapping[str, Tensor], architecture: str, said: Mapping[str, str]) -> bytes:
    """Return the file of a rule's weights, in float32.

    Args:
        weights: by name.
        architecture: one of `ARCHITECTURES`.
        said: of the file, in its metadata.
    """
    header: dict[str, Any] = {"__metadata__": {"architecture": architecture, **said}}
    data = b""
    for name in sorted(weights):
        flat = weights[name].detach().to("cpu", torch.float32).contiguous()
        piece = flat.numpy().astype("<f4").tobytes()
        ends = [len(data), len(data) + len(piece)]
        header[name] = {"dtype": "F32", "shape": [*flat.shape], "data_offsets": ends}
        data += piece
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH)
    return len(text).to_bytes(_LENGTH, "little") + text + data


def load_rule(path: str | os.PathLike[str]) -> tuple[str, dict[str, Tensor]]:
    """Return the architecture and the weights in a file, which may be anybody's.

    Raises:
        ValueError: no file, no safetensors, damaged, or not the weights of a rule.
    """
    data = _bytes(path)
    length = int.from_bytes(data[:_LENGTH], "little")
    if len(data) < _LENGTH or length > len(data) - _LENGTH:
        raise ValueError(f"{path}: no safetensors file, or cut short")
    try:
        header = json.loads(data[_LENGTH : _LENGTH + length])
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ValueError(f"{path}: no safetensors file")
    said = header.pop("__metadata__", None)
    architecture = said.get("architecture") if isinstance(said, dict) else None
    rule = ARCHITECTURES.get(architecture) if isinstance(architecture, str) else None
    if rule is None:
        have = " or ".join(ARCHITECTURES)
        raise ValueError(f"{path}: weights of no learned optimizer; its metadata names no {have}")
    shapes = rule.shapes()
    for what, names in (("lacks", shapes.keys() - header), ("has", header.keys() - shapes)):
        if names:
            raise ValueError(f"{path}: not the weights of a {architecture}: it {what} {min(names)}")
    body = data[_LENGTH + length :]
    found = {n: _tensor(path, n, header[n], shape, body) for n, shape in shapes.items()}
    return str(architecture), found


def _why_no_file(path: Path) -> str:
    """Return why there is nothing to be read, with the file that a meta-training's folder has."""
    if not path.is_dir():
        return "no such file"
    inside = [each.name for each in sorted(path.glob("*.safetensors"))]
    return f"a folder; in it is {inside[0]}" if inside else "a folder, without a .safetensors file"


def _bytes(path: str | os.PathLike[str]) -> bytes:
    try:
        full = Path(path).expanduser()
        if not full.is_file():
            raise ValueError(f"{path}: {_why_no_file(full)}")
        with full.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, RuntimeError) as error:  # RuntimeError: the home of a user that there isn't
        raise ValueError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MOST_BYTES:
        raise ValueError(f"{path}: more than 1 MiB, which no learned optimizer's weights take")
    return data


def _tensor(path: Any, name: str, entry: Any, shape: tuple[int, ...], body: bytes) -> Tensor:
    entry = entry if isinstance(entry, dict) else {}
    if entry.get("shape") != [*shape]:
        raise ValueError(f"{path}: {name} has the shape {entry.get('shape')}; expected {[*shape]}")
    if entry.get("dtype") != "F32":
        raise ValueError(f"{path}: {name} is {entry.get('dtype')}; expected F32")
    count = torch.Size(shape).numel()
    ends = entry.get("data_offsets")
    low, high = ends if isinstance(ends, list) and len(ends) == 2 else (None, None)
    if type(low) is not int or type(high) is not int or low < 0 or high - low != 4 * count:
        raise ValueError(f"{path}: {name}: not where safetensors has it")
    if high > len(body):
        raise ValueError(f"{path}: cut short, within {name}")
    found = torch.frombuffer(bytearray(body[low:high]), dtype=torch.float32).reshape(shape)
    if not found.isfinite().all():
        raise ValueError(f"{path}: {name} has numbers that are not finite")
    return found


def fingerprint(weights: Mapping[str, Tensor]) -> int:
    """Return a checksum of weights."""
    found = 0
    for name in sorted(weights):
        found = zlib.crc32(weights[name].numpy().tobytes(), found)
    return found
