"""What it costs to write a record of 124 scalars: one event and one line."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from optbench.monitor.jsonl import JsonLines
from optbench.monitor.record import Record
from optbench.monitor.tensorboard import TensorBoard
from runs import scratch
from timing import CLOCKS, Candidate, Row, alternate, estimate, print_rows

PARAMETERS = 62
ROUNDS, RECORDS = 30, 20
TARGET_MS = 1.0


def record() -> Record:
    """Two values for each parameter of a network like ResNet-18."""
    names = [f"layer{1 + i // 16}.{i // 8 % 2}.conv{1 + i % 8}.weight" for i in range(PARAMETERS)]
    kinds = ("grad_norm", "update_ratio")
    values = {f"{kind}/{name}": 0.1 + i / 7 for kind in kinds for i, name in enumerate(names)}
    return Record("monitor", 100, 1.5, 6400, 12.5, values)


def section(arguments: Namespace) -> None:
    """Each sink, both, and torch's SummaryWriter; writers' threads are waited for."""
    from torch.utils.tensorboard import SummaryWriter

    written = record()
    rounds = 1 if arguments.quick else ROUNDS
    with scratch() as folder:
        board, lines = TensorBoard(folder / "tb"), JsonLines(folder / "metrics.jsonl")
        writer = SummaryWriter(folder / "peer")

        def ours() -> None:
            lines.write(written)
            board.write(written)

        def peer() -> None:
            for tag, value in written.values.items():
                writer.add_scalar(tag, value, written.step)

        candidates = {
            "JSONL and TensorBoard": _times(ours, board.flush),
            "TensorBoard alone": _times(lambda: board.write(written), board.flush),
            "JSONL alone": _times(lambda: lines.write(written), lambda: None),
            "SummaryWriter.add_scalar": _times(peer, writer.flush),
        }
        times = alternate(candidates, rounds, clock=CLOCKS["cpu"])
        board.close()
        writer.close()
    rows = [Row(name, estimate(t).times(1e3 / RECORDS), "ms") for name, t in times.items()]
    rows[0] = Row(rows[0].what, rows[0].reached, "ms", TARGET_MS)
    count = len(written.values)
    title = f"scalars: a record of {count} values; {rounds} rounds of {RECORDS}; cpu time"
    print_rows(title, rows)


def _times(write: Callable[[], None], settle: Callable[[], None]) -> Candidate:
    def run() -> None:
        for _ in range(RECORDS):
            write()
        settle()

    return run
