"""Claims tested one after the other, or several side by side, each by a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from optbench.claims.asked import Asked, asked, claim_of
from optbench.claims.claims import ready, test
from optbench.claims.experiment import NotThere
from optbench.compose.composer import Composer, hydra_session
from optbench.console import print_error, print_lines
from optbench.errors import UserError
from optbench.files import strict
from optbench.runs.with_parent import GRACE_SECONDS, end_with

CHILD = "import sys; from optbench.claims.testing import child; sys.exit(child(sys.argv[1]))"
LOOKS_SECONDS = 0.2


@dataclass(frozen=True)
class Tested:
    """What came of a claim among others.

    Attributes:
        name: its name.
        said: what `claim.json` has; None where it was not tested.
        passed_over: why it has nothing to do with what was asked.
        error: why it could not be tested.
    """

    name: str
    said: dict[str, Any] | None = None
    passed_over: str = ""
    error: str = ""

    @property
    def line(self) -> str:
        """What is said of it in a line."""
        if self.said is not None:
            return f"{self.name}: {self.said['said']}"
        why = f"passed over: {self.passed_over}" if self.passed_over else self.error
        return f"{self.name}: {why}"


@dataclass(frozen=True)
class Where:
    """Where claims are tested.

    Attributes:
        root: their folders are made in it.
        config_dir: of the user's own config files.
    """

    root: str
    config_dir: str | None


def tested(
    composer: Composer, name: str, wanted: Asked, root: str, tell: Callable[[str], None]
) -> Tested:
    """Test a claim unless just this was done before; say what keeps it from that."""
    try:
        claim = claim_of(composer, name)
        own = replace(wanted, seeds=None) if claim.exact else wanted
        at = ready(composer, claim, own, root)
        return Tested(name, at.done or test(at, composer.config_dir, tell))
    except NotThere as error:
        return Tested(name, passed_over=str(error))
    except UserError as error:
        return Tested(name, error=str(error))


def in_turn(
    composer: Composer, names: Sequence[str], wanted: Asked, where: Where
) -> Iterator[Tested]:
    """Yield what came of each."""
    for name in names:
        yield tested(composer, name, wanted, where.root, print_error)


def side_by_side(
    names: Sequence[str], lines: Sequence[str], many: int, where: Where
) -> Iterator[Tested]:
    """Yield what came of each as it is known; so many processes are at work at a time.

    Processes have a group of their own, so that Ctrl-C comes to this one alone, which tells them
    to end; they end with it in any case.

    Args:
        names: of the claims.
        lines: of the verb, each of which holds for all.
        many: processes.
        where: root and config files.
    """
    waiting, running = deque(names), list[_Child]()
    try:
        while waiting or running:
            while waiting and len(running) < many:
                running.append(_Child(waiting.popleft(), lines, where))
            for each in [each for each in running if each.process.poll() is not None]:
                running.remove(each)
                yield each.outcome()
            time.sleep(LOOKS_SECONDS)
    finally:
        _end([each.process for each in running])


class _Child:
    """A process that tests one claim; what it prints goes to a file, which holds as much as comes.

    Args:
        name: of the claim.
        lines, where: as in `side_by_side`.
    """

    def __init__(self, name: str, lines: Sequence[str], where: Where) -> None:
        self._name = name
        self._file = tempfile.TemporaryFile(mode="w+", encoding="utf-8")  # noqa: SIM115
        job = {"name": name, "lines": list(lines), "parent": os.getpid(), **asdict(where)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(job)],
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            process_group=0,
        )

    def outcome(self) -> Tested:
        """Return what came of it, once it has ended."""
        with self._file as file:
            file.seek(0)
            said = file.read()
        try:
            return Tested(**json.loads(said.splitlines()[-1]))
        except (ValueError, TypeError, IndexError):
            return Tested(self._name, error=f"its process ended with {self.process.returncode}")


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    until = time.monotonic() + GRACE_SECONDS
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))
        process.kill()


def child(job: str) -> int:
    """Test one claim for another process; print what came of it as JSON, in the last line."""
    said = json.loads(job)
    end_with(int(said["parent"]))
    with hydra_session(said["config_dir"]) as composer:
        wanted = asked(composer, said["lines"])
        found = tested(composer, said["name"], wanted, said["root"], print_error)
    print_lines(json.dumps(strict(asdict(found))))
    return 0
