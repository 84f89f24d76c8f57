"""A checkpoint's tensors of which each rank has some rows: a file a rank, and none whole.

`state.pt` has each of them in its place without its content, as a tensor on torch's device `meta`;
rank r has its rows in `rows-<r>.pt`, tensors by name, as `torch.save` writes them. Which rows those
are follows from the shape and the number of ranks, so nothing on the disk tells it that could lie.

torch.distributed.checkpoint plans who writes and who reads what, also for another number of ranks.
Its own files are not used: what lies where is a pickle there, which anybody may have written, and
they are written where they stay, so that a kill would leave half of them.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import (
    LoadPlan,
    LoadPlanner,
    ReadItem,
    SavePlan,
    SavePlanner,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.distributed.tensor import DTensor
from torch.futures import Future

from optbench.files import BadFile, naming
from optbench.training.checkpoint import rows_file
from optbench.training.serialise import CheckpointBuffer
from optbench.training.tensors_file import read_tensors


def share(rows: int, ranks: int, rank: int) -> tuple[int, int]:
    """Return the first of a rank's rows and how many it has, as `fully_shard` cuts a tensor.

    Example:
        >>> [share(5, 4, rank) for rank in range(4)]
        [(0, 2), (2, 2), (4, 1), (5, 0)]
    """
    most = -(-rows // ranks)
    first = min(rows, most * rank)
    return first, min(rows - first, most)


def taken_out(state: Any) -> tuple[Any, dict[str, DTensor]]:
    """Return plain data with tensors without content where there are rows, and these by name."""
    found: dict[str, DTensor] = {}

    def empty(name: str, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, DTensor):
            return tensor
        assert name not in found, name
        found[name] = tensor
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")

    return _changed(state, empty), found


def packed(rows: Mapping[str, DTensor], ranks: int, buffer: CheckpointBuffer) -> memoryview:
    """Return the content of this rank's file; every rank calls it.

    Args:
        rows: what `taken_out` found, on each rank with the same names.
        ranks: how many there are.
        buffer: what it is written to, valid until the next call.
    """
    own = {name: each for name, each in rows.items() if each.to_local().numel()}
    writer = _ToMemory(ranks, buffer)
    with _causes():
        save(own, storage_writer=writer, planner=DefaultSavePlanner(flatten_state_dict=False))
    return writer.content


def filled(state: Any, folder: Path, ranks: int, room: Callable[[Tensor], Tensor]) -> Any:
    """Return a state with content in its tensors that have none.

    Args:
        state: as `taken_out` gave it.
        folder: with the files of rows.
        ranks: how many wrote them.
        room: gives memory for all of a tensor, or a DTensor for what this rank needs of it.

    Raises:
        BadFile: the files have not the rows that the state says.
        OSError: a file can't be read.
    """
    empty: dict[str, Tensor] = {}

    def note(name: str, tensor: Tensor) -> Tensor:
        if tensor.is_meta:
            if name in empty or tensor.ndim == 0:
                raise BadFile(f"{folder}: it can't have rows of {name}")
            empty[name] = tensor
        return tensor

    _changed(state, note)
    reader = _OfRanks(empty, folder, ranks)
    reader.check_sizes()  # before there is memory for what they might not have
    full = {name: room(tensor) for name, tensor in empty.items()}
    wanted = {name: tensor for name, tensor in full.items() if _own(tensor).numel()}
    with _causes(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        # Each rank plans for itself: whoever reads may be one of several, and the others not read.
        planner = DefaultLoadPlanner(flatten_state_dict=False)
        load(wanted, storage_reader=reader, planner=planner, no_dist=True)
    return _changed(state, lambda name, tensor: full.get(name, tensor))


def _changed(value: Any, change: Callable[[str, Tensor], Tensor], at: str = "") -> Any:
    """Return plain data with its tensors changed, of whose place `change` is told."""
    if isinstance(value, Tensor):
        return change(at, value)
    if type(value) in (dict, OrderedDict):
        items = {k: _changed(v, change, f"{at}.{k}" if at else str(k)) for k, v in value.items()}
        same = all(items[key] is each for key, each in value.items())
        return value if same else type(value)(items)
    if type(value) in (list, tuple):
        every = [_changed(each, change, f"{at}.{n}") for n, each in enumerate(value)]
        same = all(one is other for one, other in zip(every, value, strict=True))
        return value if same else type(value)(every)
    return value


def _own(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


@lru_cache(maxsize=1024)  # a net of thousands of tensors has few shapes
def _chunks(shape: Size, ranks: int) -> list[ChunkStorageMetadata]:
    """Return where the parts of a tensor are, without ranks that have nothing of it."""
    every = [share(shape[0], ranks, rank) for rank in range(ranks)]
    return [
        ChunkStorageMetadata(
            offsets=Size([first, *[0] * (len(shape) - 1)]), sizes=Size([count, *shape[1:]])
        )
        for first, count in every
        if count * shape[1:].numel()
    ]


@contextmanager
def _causes() -> Iterator[None]:
    """Raise what failed, not torch's collection of what failed on which rank."""
    try:
        yield
    except CheckpointException as error:
        (cause, _), *_ = error.failures.values()
        raise cause from None


class _ToMemory(StorageWriter):
    """Keeps what torch plans for this rank to write, in memory: it is written with all else.

    Attributes:
        content: of this rank's file.
    """

    def __init__(self, ranks: int, buffer: CheckpointBuffer) -> None:
        self._ranks, self._buffer = ranks, buffer
        self.content = memoryview(b"")

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Do nothing: each has its own writer."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """Do nothing: there is no storage."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """Return the plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Return the plans as they are."""
        return plans

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Fill the buffer with this rank's rows, by name."""
        rows: dict[str, Tensor] = {}
        for item in plan.items:
            data = planner.resolve_data(item)
            assert isinstance(data, Tensor)
            rows[item.index.fqn] = data.detach()
        self.content = self._buffer.fill(rows)
        done: Future[list[WriteResult]] = Future()
        done.set_result([WriteResult(each.index, 0, None) for each in plan.items])
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Refuse to save what would be looked for elsewhere.

        Raises:
            RuntimeError: torch cuts tensors in another way than `share`.
        """
        for name, said in metadata.state_dict_metadata.items():
            assert isinstance(said, TensorStorageMetadata), name
            if said.chunks != _chunks(said.size, self._ranks):
                raise RuntimeError(f"fully_shard cuts {name} in another way than is looked for")

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Return False: there is no place to choose."""
        return False


class _OfRanks(StorageReader):
    """Reads rows out of the ranks' files, one file after the other.

    Args:
        tensors: without content.
        folder: of the files.
        ranks: that wrote them.
    """

    def __init__(self, tensors: Mapping[str, Tensor], folder: Path, ranks: int) -> None:
        self._tensors, self._folder, self._ranks = tensors, folder, ranks

    def check_sizes(self) -> None:
        """Raise BadFile for a file that is smaller than the rows that it would have to have."""
        kinds = Counter((each.shape, each.element_size()) for each in self._tensors.values())
        for rank in range(self._ranks):
            path = self._folder / rows_file(rank)
            least = sum(
                count * size * share(shape[0], self._ranks, rank)[1] * shape[1:].numel()
                for (shape, size), count in kinds.items()
            )
            with naming(path):
                size = path.lstat().st_size
            if size < least:
                raise BadFile(f"{path}: {size} bytes can't be {least} bytes of rows")

    def _shapes(self, rank: int) -> dict[str, Size]:
        """Return the shapes of what a rank has, by name."""
        every = {
            name: Size([share(len(tensor), self._ranks, rank)[1], *tensor.shape[1:]])
            for name, tensor in self._tensors.items()
        }
        return {name: shape for name, shape in every.items() if shape.numel()}

    def _read(self, rank: int) -> dict[str, Tensor]:
        """Return a rank's rows, which are what they have to be.

        Raises:
            BadFile: they are not.
        """
        path = self._folder / rows_file(rank)
        found = read_tensors(path)
        shapes = self._shapes(rank)
        if type(found) is not dict or found.keys() != shapes.keys():
            raise BadFile(f"{path}: it has rows of other tensors than state.pt says")
        for name, shape in shapes.items():
            rows, dtype = found[name], self._tensors[name].dtype
            plain = type(rows) is Tensor and rows.layout == torch.strided and rows.is_cpu
            if not plain or rows.shape != shape or rows.dtype != dtype:
                raise BadFile(f"{path}: {name} is not {dtype} of {tuple(shape)}")
        return found

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Do nothing: each has its own reader."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Return where the rows are, which follows from the shapes."""
        return Metadata(
            {
                name: TensorStorageMetadata(
                    TensorProperties(dtype=tensor.dtype),
                    tensor.shape,
                    _chunks(tensor.shape, self._ranks),
                )
                for name, tensor in self._tensors.items()
            }
        )

    def set_up_storage_reader(
        self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any
    ) -> None:
        """Do nothing: all is known."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """Return the plan as it is."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """Return the plans as they are."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Copy rows to where they are wanted."""
        of_rank: dict[int, list[ReadItem]] = {}
        for item in plan.items:
            offset, tensor = item.storage_index.offset, self._tensors[item.storage_index.fqn]
            assert offset is not None
            _, most = share(len(tensor), self._ranks, 0)
            of_rank.setdefault(offset[0] // most, []).append(item)
        for rank, items in sorted(of_rank.items()):
            found = self._read(rank)
            for item in items:
                rows = found[item.storage_index.fqn]
                for n, where in enumerate(zip(item.storage_offsets, item.lengths, strict=True)):
                    rows = rows.narrow(n, *where)
                wanted = planner.resolve_tensor(item)
                wanted.detach().copy_(rows)
                planner.commit_tensor(item, wanted)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Return False: there is no place to choose."""
        return False
