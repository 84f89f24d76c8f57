"""Records as TensorBoard events, all of a record's values in one event."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

from optbench.monitor.event_file import HPARAMS_FILE, EventFile
from optbench.monitor.histograms import Histogram
from optbench.monitor.record import Position, Record
from optbench.monitor.scalar_events import ScalarEvents


class TensorBoard:
    """Writes event files, without torch's SummaryWriter.

    All of a record's scalars are one event, which costs a fraction of as many `add_scalar` calls.

    Args:
        folder: for the event files.
        resumed_at: the step after which events of an earlier part of the run do not count.
    """

    def __init__(self, folder: Path, resumed_at: int | None = None) -> None:
        self._file = EventFile(folder)
        self._scalars = ScalarEvents()
        if resumed_at is not None:
            # Tells a TensorBoard that has read further to forget what comes after.
            start = SessionLog(status=SessionLog.START)
            self._file.add(Event(step=resumed_at + 1, session_log=start))

    def write(self, record: Record) -> None:
        """Write one event with all of the record's values."""
        data = self._scalars.serialised(record.step, record.time, record.values)
        if data is not None:
            self._file.add_serialised(data)
            return
        event = Event(step=record.step)
        add = event.summary.value.add  # in its place, for what is made apart is copied twice
        for tag, value in record.values.items():
            add(tag=tag, simple_value=value)
        self._file.add(event, record.time)

    def write_histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        """Write one event with all histograms."""
        values = [Summary.Value(tag=tag, histo=_proto(h)) for tag, h in histograms.items()]
        self._file.add(Event(step=step, summary=Summary(value=values)))

    def show(self, step: int, texts: Mapping[str, str], images: Mapping[str, bytes]) -> None:
        """Write one event with all samples, for the text dashboard and the image one."""
        values = [text_value(f"samples/{name}", text) for name, text in texts.items()]
        for name, png in images.items():
            width, height = struct.unpack(">II", png[16:24])
            image = Summary.Image(height=height, width=width, encoded_image_string=png)
            values.append(Summary.Value(tag=f"samples/{name}", image=image))
        self._file.add(Event(step=step, summary=Summary(value=values)))

    def write_summary(self, summary: Any) -> None:
        """Write a ready summary, such as the HParams dashboard's."""
        self._file.add(Event(step=0, summary=summary))

    def flush(self) -> None:
        """Flush the file to the disk."""
        self._file.sync()

    def positions(self) -> dict[str, Position]:
        """Return the length of what is flushed, by the file's name in the run folder."""
        path = self._file.path
        return {f"{path.parent.name}/{path.name}": (self._file.length(), None)}

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_anew(folder: Path, summaries: Sequence[Any]) -> None:
    """Write summaries in the place of those that the run has had under their tags.

    TensorBoard takes a tag's metadata, which is all that the HParams dashboard reads, from where it
    comes first. So they go to a file of their own, before all others by its name.
    """
    path = folder / HPARAMS_FILE
    path.unlink(missing_ok=True)
    file = EventFile(folder, path=path)
    for summary in summaries:
        file.add(Event(step=0, summary=summary))
    file.close()


def _proto(histogram: Histogram) -> Any:
    return HistogramProto(
        min=histogram.low,
        max=histogram.high,
        num=histogram.count,
        sum=histogram.total,
        sum_squares=histogram.squares,
        bucket_limit=histogram.edges,
        bucket=histogram.counts,
    )


def text_value(tag: str, text: str) -> Any:
    """Return a text to be shown as it is: indented, TensorBoard's Markdown takes it for code."""
    indented = "\n".join(f"    {line}" for line in text.splitlines())
    plugin = SummaryMetadata.PluginData(
        plugin_name="text", content=TextPluginData().SerializeToString()
    )
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[indented.encode()], tensor_shape=shape)
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin), tensor=tensor)
