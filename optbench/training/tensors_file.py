"""Files of plain data and tensors that others may have written: nothing in them is run."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import torch

from optbench.files import DEEPEST, MIB, BadFile, reading

MOST_VALUES = 5_000_000


def read_tensors(path: Path) -> dict[str, Any]:
    """Return what torch.save wrote, of plain data and tensors alone, on the CPU.

    Raises:
        BadFile: it holds something else, or stands for more than it holds.
        OSError: it is not there or can't be read.
    """
    with reading(path) as file:
        _refuse_expansion(path, file)
        file.seek(0)
        try:
            loaded: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            raise BadFile(f"{path}: it holds more than tensors, which would run its code") from None
        except (OSError, MemoryError):
            raise
        except Exception as error:  # whatever a broken archive makes of torch's reader
            why = " ".join(f"{type(error).__name__}: {error}".split())
            raise BadFile(f"{path}: it can't be read ({why[:200]})") from None
    _refuse_endless(path, loaded)
    return loaded


def _refuse_endless(path: Path, loaded: Any) -> None:
    """Raise BadFile for data whose shared parts stand for more than can be walked or held."""
    to_do, left = [(loaded, 0)], MOST_VALUES
    while to_do:
        value, depth = to_do.pop()
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise BadFile(f"{path}: it has no end of values")
        if isinstance(value, dict):
            to_do += [(part, depth + 1) for part in value.values()]
        elif isinstance(value, list | tuple | set):
            to_do += [(part, depth + 1) for part in value]
        elif isinstance(value, torch.Tensor) and value.layout == torch.strided:
            size = value.numel() * value.element_size()
            if size > max(2 * value.untyped_storage().nbytes(), 64 * MIB):
                raise BadFile(f"{path}: a tensor of {tuple(value.shape)} that is not there")


def _refuse_expansion(path: Path, file: BinaryIO) -> None:
    """Raise BadFile for an archive that unpacks to more than it is, as torch.save never writes."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise BadFile(f"{path}: not a checkpoint of torch's") from None
    size = os.fstat(file.fileno()).st_size
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or sum(entry.file_size for entry in entries) > size + MIB:
        raise BadFile(f"{path}: it unpacks to more than its size")
