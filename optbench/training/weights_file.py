"""Weights in a file of their own: a plain state dict, which any program with torch reads."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from optbench.errors import UserError
from optbench.files import BadFile, naming, reading
from optbench.training.tensors_file import read_tensors

TORCH, SAFETENSORS = (".pt", ".pth"), ".safetensors"
WRAPPED = ("state_dict", "model")
"""Keys under which other programs put a state dict among other things."""


def check_name(path: Path, key: str) -> None:
    """Raise UserError for a file of no format that there is, or whose library is not installed.

    Args:
        key: what the path was said with, for messages.
    """
    if path.suffix == SAFETENSORS:
        _library()
    elif path.suffix not in TORCH:
        raise UserError(f"{key}{path}: expected a file that ends in .safetensors, .pt or .pth")


def _library() -> Any:
    try:
        import safetensors.torch
    except ImportError:
        raise UserError(
            "a .safetensors file needs safetensors, which is not installed: "
            "pip install 'optbench[safetensors]'; a .pt file needs nothing"
        ) from None
    return safetensors.torch


def write_weights(
    path: Path, state: Mapping[str, Tensor], said: Mapping[str, str], force: bool = False
) -> None:
    """Write a state dict, whole or not at all; tied parameters stand there under each name.

    Args:
        path: `.safetensors`, `.pt` or `.pth`.
        state: tensors by name.
        said: of the file; only safetensors has a place for it.
        force: take the place of a file that is there.

    Raises:
        UserError: the file is there; a state that the format can't hold.
        OSError: it can't be written.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    plain = {name: value.detach().clone().contiguous() for name, value in state.items()}
    try:
        with naming(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
                if path.suffix == SAFETENSORS:
                    file.write(_library().save(plain, metadata={"format": "pt", **said}))
                else:
                    torch.save(plain, file)
            if force:
                os.replace(temporary, path)
            else:
                os.link(temporary, path)  # never over another's
    except FileExistsError:
        raise UserError(f"{path}: it is there already; --force writes over it") from None
    except OSError as error:
        if error.filename2 is None:
            error.filename = os.fspath(path)  # not the file beside it, which nobody asked for
        raise
    except (RuntimeError, ValueError, KeyError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"{path}: it can't be written ({why[:300]})") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_weights(path: Path, key: str = "") -> dict[str, Tensor]:
    """Return a state dict, on the CPU. The file may be anybody's: run nothing in it.

    Args:
        path: `.safetensors`, `.pt` or `.pth`.
        key: what the path was said with, for messages.

    Raises:
        BadFile: no state dict, or damaged.
        UserError: another format; safetensors is not installed.
        OSError: it is not there or can't be read.
    """
    check_name(path, key)
    path = Path(os.path.realpath(path))  # of what a user names himself, a link may lead anywhere
    try:
        with naming(path):
            found: Any = (
                _read_safetensors(path) if path.suffix == SAFETENSORS else read_tensors(path)
            )
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:  # of either library: it is no file of its format
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise BadFile(f"{path}: it can't be read ({why[:200]})") from None
    for key in WRAPPED:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found:
        raise BadFile(f"{path}: no state dict")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise BadFile(f"{path}: no state dict: {name!s:.60} is {type(value).__name__}")
    return found


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    library = _library()
    with reading(path):
        pass  # a regular file
    found: dict[str, Tensor] = library.load_file(path, device="cpu")
    return found
