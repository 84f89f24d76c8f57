"""The parts of an experiment, done by the public verbs; what is done is not done again."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from optbench.api import resume_sweep, sweep
from optbench.api_benchmark import benchmark
from optbench.api_diagnosis import check, find_lr, probe
from optbench.claims.claim import WITH_RUNS
from optbench.claims.experiment import Planned
from optbench.claims.found import Found, Ran
from optbench.claims.on_ranks import on_ranks
from optbench.claims.populations import evolved, replayed
from optbench.config.counted import counted
from optbench.errors import UserError
from optbench.files import load_json, strict, write_atomically
from optbench.rundir import PLAN
from optbench.runs.result import RunResult
from optbench.which_run import BENCHMARK, CLAIM

COUNTED = ("finished", "stopped_early", "diverged")
"""States of a run that has come to an end of its own."""
RANGE_TEST = "find-lr.json"
SECONDS = CLAIM
"""Beside the parts: when each began, and what it took, for who goes on after a kill."""


class Took(NamedTuple):
    """When a part began, in seconds of the epoch, and how many seconds it took."""

    begun: float
    seconds: float


@dataclass(frozen=True)
class Doer:
    """Does parts.

    Attributes:
        folder: of the claim.
        executor: the words that say who does the runs.
        config_dir: of the user's own config files.
        tell: told of each part as it begins.
    """

    folder: Path
    executor: Sequence[str]
    config_dir: str | None
    tell: Callable[[str], None]

    def do(self, parts: Sequence[Planned]) -> Found:
        """Do the parts of one case, and return what came of them.

        Raises:
            UserError: what a verb refuses, such as a data set that is missing; a run that failed.
        """
        sweeps: dict[str, Sequence[Ran]] = {}
        others: dict[str, Any] = {}
        for planned in parts:
            begun, name = time.perf_counter(), planned.part.name
            if planned.part.verb in WITH_RUNS:
                results = self._runs(planned, others)
                sweeps[name] = [Ran(each, planned.varied) for each in results]
            else:
                others[name] = self._other(planned, sweeps)
            self._took(planned, time.perf_counter() - begun)
        return Found(sweeps, others, parts[0].seeds)

    def _runs(self, planned: Planned, others: Mapping[str, Any]) -> list[RunResult]:
        """Return the runs of a part, which have all come to an end of their own."""
        if planned.part.verb == "sweep":
            results = self._sweep(planned)
        elif planned.part.verb == "ranks":
            results = self._on_ranks(planned)
        else:
            results = self._replay(planned, others[planned.part.of])
        for result in results:
            if result.state not in COUNTED:
                raise UserError(f"{result.folder.path}: {result.state}: {result.message}")
        return results

    def _other(self, planned: Planned, sweeps: Mapping[str, Sequence[Ran]]) -> Any:
        """Return what the verb of a part without runs says, as plain data."""
        verb = planned.part.verb
        if verb == "probe":
            return self._probe(planned, sweeps[planned.part.of])
        if verb == "benchmark":
            return self._benchmark(planned)
        if verb == "find_lr":
            return self._find_lr(planned)
        return self._pbt(planned) if verb == "pbt" else self._check(planned)

    def seconds(self, parts: Sequence[Planned]) -> float:
        """Return what these parts took; what was killed is not counted."""
        known = self._known()
        return sum(known[each.folder].seconds for each in parts if each.folder in known)

    def begun(self, parts: Sequence[Planned]) -> float:
        """Return when the first of these parts began, in seconds of the epoch.

        Other parts may lie in the folder, of the experiment as it was before.
        """
        known, now = self._known(), Took(time.time(), 0.0)
        return min(known.get(each.folder, now).begun for each in parts)

    def _known(self) -> dict[str, Took]:
        """Return what is known of parts, by their folders; nothing where the file is damaged."""
        try:
            said = load_json(self.folder / SECONDS)
            return {name: Took(*map(float, pair)) for name, pair in said.items()}
        except (OSError, UserError, TypeError, ValueError):
            return {}

    def _took(self, planned: Planned, seconds: float) -> None:
        known = self._known()
        if planned.folder not in known:  # else it is a look at what is done
            known[planned.folder] = Took(time.time() - seconds, seconds)
            write_atomically(self.folder / SECONDS, json.dumps(known, indent=1))

    def _sweep(self, planned: Planned) -> list[RunResult]:
        folder = self.folder / planned.folder
        if os.path.lexists(folder / PLAN):
            results = resume_sweep(folder, *self.executor, config_dir=self.config_dir)
        else:
            with suppress(OSError):  # one that was killed before it had a plan
                folder.rmdir()
            self._begin(planned, planned.runs)
            words = (*planned.words, *self.executor)
            results = sweep(*words, folder=folder, config_dir=self.config_dir)
        return results

    def _on_ranks(self, planned: Planned) -> list[RunResult]:
        folder = self.folder / planned.folder
        if not folder.exists():
            self._begin(planned, planned.runs)
        return on_ranks(
            folder,
            planned.words,
            ranks=planned.part.ranks,
            runs=planned.runs,
            done=COUNTED,
            config_dir=self.config_dir,
        )

    def _pbt(self, planned: Planned) -> list[dict[str, Any]]:
        """Return of each seed's population what it found; see `evolved`."""
        found: list[dict[str, Any]] = []
        for seed in planned.seeds:
            folder = self.folder / planned.folder / str(seed)
            path = folder.with_suffix(".json")
            if not path.is_file():
                if not found:
                    self._begin(planned, planned.runs)
                words = (*planned.words, f"seed={seed}")
                said = evolved(folder, words, self.executor, self.config_dir)
                _keep(path, {"seed": seed, **said})
            found.append(load_json(path))
        return found

    def _replay(self, planned: Planned, found: Sequence[Mapping[str, Any]]) -> list[RunResult]:
        """Train with what each seed's population found at the next seed, the last one's at the
        first: what it found at its own may be luck."""
        folder = self.folder / planned.folder
        if not folder.exists():
            self._begin(planned, planned.runs)
        return [
            replayed(
                folder / str(seed),
                found[number - 1],
                [*planned.words, f"seed={seed}"],
                COUNTED,
                self.config_dir,
            )
            for number, seed in enumerate(planned.seeds)
        ]

    def _begin(self, planned: Planned, runs: int) -> None:
        case = f" ({planned.case})" if planned.case else ""
        what = f"{planned.part.verb} {planned.part.name}{case}"
        self.tell(f"{self.folder.name}: {what}: {counted(runs, 'run')}")

    def _probe(self, planned: Planned, runs: Sequence[Ran]) -> list[dict[str, Any]]:
        """Return of each run its seed, its label, and values by name and step."""
        found: list[dict[str, Any]] = []
        for number, ran in enumerate(runs):
            path = self.folder / planned.folder / f"{number}.json"
            if not path.is_file():
                if number == 0:
                    self._begin(planned, len(runs))
                probed = probe(ran.run.path, *planned.words, at=planned.part.at)
                said = {"seed": ran.seed, "label": ran.label, "values": probed.values}
                _keep(path, said)
            found.append(load_json(path))
        return found

    def _benchmark(self, planned: Planned) -> dict[str, Any]:
        folder = self.folder / planned.folder
        if os.path.lexists(folder / BENCHMARK):
            words: Sequence[str] = self.executor
        else:
            with suppress(OSError):
                folder.rmdir()
            self._begin(planned, planned.runs)
            words = (*planned.words, *self.executor)
        return dict(benchmark(*words, folder=folder, config_dir=self.config_dir).report)

    def _find_lr(self, planned: Planned) -> dict[str, Any]:
        folder, part = self.folder / planned.folder, planned.part
        if not (folder / RANGE_TEST).is_file():
            shutil.rmtree(folder, ignore_errors=True)  # of one that was killed
            self._begin(planned, planned.runs)
            find_lr(
                *planned.words,
                seeds=len(planned.seeds),
                folder=folder,
                config_dir=self.config_dir,
                **part.ramp,
            )
        return load_json(folder / RANGE_TEST)

    def _check(self, planned: Planned) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for seed in planned.seeds:
            path = self.folder / planned.folder / f"{seed}.json"
            if not path.is_file():
                checked = check(*planned.words, f"seed={seed}", config_dir=self.config_dir)
                _keep(path, {"seed": seed, **checked.plain})
            found.append(load_json(path))
        return found


def _keep(path: Path, said: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(strict(said)))
