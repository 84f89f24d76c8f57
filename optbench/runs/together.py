"""Many runs at once in this process, each in its own folder as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optbench.config.run_spec import RunSpec
from optbench.console import shown
from optbench.rundir import RunDir
from optbench.runs.collector import at_work
from optbench.runs.execute import FolderRun, build_run
from optbench.runs.lock import Busy
from optbench.runs.log import Log, heard
from optbench.runs.result import EXIT_FAILED, RunResult, load_result
from optbench.runs.sweep import ELSEWHERE, claim, failed_early
from optbench.runs.trust import Seal

if TYPE_CHECKING:
    from optbench.training.callback import Callback
    from optbench.training.signals import Interruption
    from optbench.training.together.member import Member


@dataclass(frozen=True)
class Asked:
    """A run that is to be done with others.

    Attributes:
        spec: what to run.
        folder: where; one that has ended is left as it is.
        seals: of the configs that the run had before.
        callbacks: told of the run.
    """

    spec: RunSpec
    folder: RunDir
    seals: Sequence[Seal] = ()
    callbacks: Sequence[Callback] = ()


class _MemberLog(Log):
    """Writes into the run's own file; tells on the terminal only what others have not."""

    def __init__(self, common: Log, told: set[str], name: str) -> None:
        super().__init__(quiet=common.quiet, draws=False, tells=False)
        self._common, self._told, self._name = common, told, name

    def warn(self, line: str) -> None:
        """Say a line that asks for attention, once for all members."""
        super().warn(line)
        if line not in self._told:
            self._told.add(line)
            self._common.tell(f"warning: {self._name}: {line}")


def run_together(asked: Sequence[Asked], log: Log, draws: bool) -> list[RunResult | None]:
    """Do runs that `try_together` has found to go together.

    Those that go on from a checkpoint do so together where they are at one step; the others of
    them are done alone.

    Args:
        asked: the runs.
        log: whom to tell.
        draws: whether a forward pass drops something.

    Returns:
        What each run came to; None for one that was not begun, because somebody wants all to stop.
    """
    from optbench.training.signals import Interruption

    group = _Group(asked, log, draws)
    with Interruption().listening() as interruption, at_work(), heard(log):
        group.do(interruption)
    return group.results()


class _Group:
    """Runs that are built, trained and ended side by side."""

    def __init__(self, asked: Sequence[Asked], log: Log, draws: bool) -> None:
        self._asked, self._log, self._draws = asked, log, draws
        told: set[str] = set()
        self._logs = [_MemberLog(log, told, each.folder.path.name) for each in asked]
        self._found: dict[int, RunResult] = {}
        self._runs: dict[int, FolderRun] = {}
        self._members: dict[int, Member] = {}
        self._new: set[int] = set()

    def results(self) -> list[RunResult | None]:
        """Return what each run came to; None for those that were not begun."""
        return [self._found.get(number) for number in range(len(self._asked))]

    def do(self, interruption: Interruption) -> None:
        """Build them, train them, and write down how each ended."""
        self._interruption = interruption
        try:
            for number in range(len(self._asked)):
                self._open(number)
            self._train()
        except (KeyboardInterrupt, SystemExit, Exception) as error:
            for number in list(self._runs):
                self._fail(number, error)
        for log in self._logs:
            with suppress(OSError):
                log.close()

    def _open(self, number: int) -> None:
        """Build a run and begin it, up to its first step; or keep what it came to before."""
        asked, log = self._asked[number], self._logs[number]
        try:
            begun = claim(asked.folder, log)
        except Busy as busy:
            found = RunResult(asked.folder, ELSEWHERE, 0, str(busy), exit_code=EXIT_FAILED)
            self._found[number] = found
            return
        if begun == "done":
            self._found[number] = load_result(asked.folder)
            return
        if begun == "new":
            self._new.add(number)
        self._guarded(number, lambda: self._begin(number, resume=begun == "begun"))

    def _begin(self, number: int, resume: bool) -> None:
        from optbench.training import rng
        from optbench.training.together.member import Member

        asked, log = self._asked[number], self._logs[number]
        run, told = build_run(
            asked.spec, log, asked.folder, resume, seals=asked.seals, callbacks=asked.callbacks
        )
        run.environment, run.one_of_many = {"population": len(self._asked)}, True
        self._runs[number] = run
        trainer = run.open(resume, told, self._interruption)
        member = Member(number, trainer)
        member.begin(rng.capture())
        self._members[number] = member

    def _train(self) -> None:
        """Train those that are at one place together, the others alone."""
        from optbench.training.together.core import Core
        from optbench.training.together.loop import ApartError, Together

        for members in _by_position(list(self._members.values())):
            if len(members) == 1:
                self._go_on_alone(members[0])
                continue
            self._log.tell(self._beginning(members))
            for place, member in enumerate(members):
                member.place = place
            core = Core(
                [member.step for member in members],
                [member.trainer.feed for member in members],
                [member.generator for member in members] if self._draws else None,
                members[0].trainer.settings.total_steps,
            )
            tell = self._log.tell
            loop = Together(members, core, self._interruption, self._alone, self._end, tell)
            try:
                loop.run()
            except ApartError as why:
                self._log.tell(f"the runs go on one by one ({' '.join(str(why).split())[:160]})")
                for member in loop.alive:
                    self._go_on_alone(member)

    def _beginning(self, members: Sequence[Member]) -> str:
        names = [self._asked[member.number].folder.path.name for member in members]
        where = shown(self._asked[0].folder.path.parent)
        return f"training {len(names)} runs at once in {where}: {names[0]} to {names[-1]}"

    def _go_on_alone(self, member: Member) -> None:
        def go_on() -> None:
            member.ordinary()
            member.trainer.run()

        if self._alone(member, go_on):
            self._end(member)

    def _alone(self, member: Member, does: Callable[[], None]) -> bool:
        return self._guarded(member.number, does)

    def _guarded(self, number: int, does: Callable[[], None]) -> bool:
        """Do something of one run; what goes wrong is that run's alone."""
        try:
            does()
        except (SystemExit, Exception) as error:  # exit() in a model
            self._fail(number, error)
            return False
        return True

    def _end(self, member: Member) -> None:
        """Finish a run, and write down how it ended."""
        number, trainer = member.number, member.trainer

        def finish() -> None:
            outcome = trainer.finish()
            self._found[number] = self._runs.pop(number).end(outcome, self._interruption)

        if self._guarded(number, finish):
            found = self._found[number]
            state = found.state.replace("_", " ")
            self._log.tell(f"{found.folder.path.name}: {state} at step {found.step}")

    def _fail(self, number: int, error: BaseException) -> None:
        """Write down what ended a run."""
        asked, run = self._asked[number], self._runs.pop(number, None)
        try:
            if run is None:
                raise error
            self._found[number] = run.failed(error)
        except Exception as told:  # a mistake of the user's, which the run leaves to its caller
            log, new = self._logs[number], number in self._new
            self._found[number] = failed_early(asked.folder, log, told, new)


def _by_position(members: Sequence[Member]) -> list[list[Member]]:
    """Return the members that are at one position, and can be stepped together, for each."""
    places: dict[tuple[int, ...], list[Member]] = {}
    for member in members:
        places.setdefault(member.position, []).append(member)
    return list(places.values())
