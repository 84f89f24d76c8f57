"""Records as TensorBoard events, all of a record's values in one event."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from optbench.monitor.histograms import Histogram
from optbench.monitor.record import Record

_HEADER, _CRC = 12, 4


class TensorBoard:
    """Writes event files, without torch's SummaryWriter.

    124 scalars in one event cost a ninth of what as many `add_scalar` calls cost.

    Args:
        folder: for the event files.
        resumed_at: the step after which events of an earlier part of the run do not count.
    """

    def __init__(self, folder: Path, resumed_at: int | None = None) -> None:
        self._writer = EventFileWriter(str(folder))
        if resumed_at is not None:
            # Tells a TensorBoard that has read further to forget what comes after.
            start = SessionLog(status=SessionLog.START)
            self._add(Event(step=resumed_at + 1, session_log=start))

    def write(self, record: Record) -> None:
        """One event with all of the record's values."""
        Value = Summary.Value
        values = [Value(tag=tag, simple_value=value) for tag, value in record.values.items()]
        self._add(Event(step=record.step, summary=Summary(value=values)))

    def write_histograms(self, step: int, histograms: Mapping[str, Histogram]) -> None:
        """One event with all histograms."""
        values = [Summary.Value(tag=tag, histo=_proto(h)) for tag, h in histograms.items()]
        self._add(Event(step=step, summary=Summary(value=values)))

    def write_summary(self, summary: Any) -> None:
        """A ready summary, such as the HParams dashboard's."""
        self._add(Event(step=0, summary=summary))

    def _add(self, event: Any) -> None:
        event.wall_time = time.time()
        self._writer.add_event(event)

    def flush(self) -> None:
        """To the file."""
        self._writer.flush()

    def close(self) -> None:
        """Ends the writer's thread."""
        self._writer.close()


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


def cut_events(folder: Path, last_step: int) -> None:
    """Drops from the event files what lies after `last_step`, test scores, and torn ends.

    A resumed run writes these anew. Events are in the order of their steps, so each file is cut at
    the first that has to go.
    """
    for path in sorted(folder.glob("events.out.tfevents.*")):
        kept = _length_to_keep(path, last_step)
        if kept < path.stat().st_size:
            os.truncate(path, kept)


def _length_to_keep(path: Path, last_step: int) -> int:
    data = path.read_bytes()
    position = 0
    while position + _HEADER <= len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        end = position + _HEADER + length + _CRC
        if end > len(data):
            break
        event = Event.FromString(data[position + _HEADER : end - _CRC])
        tags = [value.tag for value in event.summary.value]
        if event.step > last_step or any(tag.startswith("test/") for tag in tags):
            break
        position = end
    return position
