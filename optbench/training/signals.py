"""Being asked to stop: SIGTERM, SIGINT, and SIGHUP when the terminal is closed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Abandoned(Exception):
    """A signal came before something was done, which is done again when the run goes on.

    Attributes:
        signal: its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.signal = number


class Interruption:
    """Remembers the first signal; a second SIGINT stops at once, as Python would.

    Attributes:
        number: the signal's number, 0 if there was none.
    """

    def __init__(self) -> None:
        self.number = 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number == signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.number = self.number or number

    @contextmanager
    def listening(self) -> Iterator[Interruption]:
        """Take the signals while the block runs; only the main thread can.

        One that was ignored before stays ignored, as SIGHUP is by a program behind `nohup`.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {s: signal.getsignal(s) for s in STOPS}
        before = {s: handler for s, handler in before.items() if handler is not signal.SIG_IGN}
        for number in before:
            signal.signal(number, self._note)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
