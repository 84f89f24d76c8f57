"""What a measure gets: the finished runs of an experiment, by part."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.runs.read import Run
from optbench.runs.result import RunResult

GOOD = ("finished", "stopped_early")


@dataclass(frozen=True)
class Ran:
    """One run of a part.

    Attributes:
        result: what it came to.
        varied: the keys that differ among the part's runs, but the seed.
    """

    result: RunResult
    varied: Sequence[str] = ()

    @property
    def run(self) -> Run:
        """The run, to be read."""
        return self.result.run

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.setting("seed"))

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Its resolved config."""
        return self.run.config

    def setting(self, key: str) -> Any:
        """Return the value of a dotted key of its config; None where it has none."""
        node: Any = self.config
        for name in key.split("."):
            node = node.get(name) if isinstance(node, Mapping) else None
        return node

    @property
    def ended_well(self) -> bool:
        """Whether it finished; it diverged else."""
        return self.result.state in GOOD

    def final(self, metric: str) -> float | None:
        """Return the last value of a metric; None where it diverged, or has no such value."""
        value = self.result.metrics.get(metric)
        return float(value) if self.ended_well and value is not None else None

    def best(self, metric: str) -> float | None:
        """Return the best value of a metric that the run's evaluations go by, or its last."""
        if self.ended_well and self.result.best.get("metric") == metric:
            return float(self.result.best["value"])
        return self.final(metric)

    def series(self, tag: str) -> tuple[list[int], list[float]]:
        """Return the steps and the values of one tag, as far as the run came."""
        lines = [line for line in self.run.records() if tag in line]
        return [int(line["step"]) for line in lines], [float(line[tag]) for line in lines]

    @property
    def label(self) -> str:
        """What tells it from the part's other runs but for the seed, such as `lr=0.1`."""
        return self.label_without(())

    def label_without(self, keys: Collection[str]) -> str:
        """Return what tells it from the part's other runs but for the seed and these keys."""
        kept = [key for key in self.varied if key not in keys]
        return " ".join(f"{key.rpartition('.')[2]}={self._short(key)}" for key in kept)

    def _short(self, key: str) -> str:
        if key in self.run.choices:
            return str(self.run.choices[key])
        value = self.setting(key)
        return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Found:
    """All that was run of one case.

    Attributes:
        sweeps: the runs of each part that is a sweep.
        others: of each other part what its verb says: of a probe, values by seed and label; else
            the verb's JSON, of a check one a seed.
        seeds: of the runs.
    """

    sweeps: Mapping[str, Sequence[Ran]]
    others: Mapping[str, Any]
    seeds: Sequence[int]

    def runs(self, part: str) -> Sequence[Ran]:
        """Return the runs of a part.

        Raises:
            UserError: there is no such part.
        """
        if part not in self.sweeps:
            raise UserError(
                f"measure: {part}: no such part with runs; {did_you_mean(part, self.sweeps)}"
            )
        return self.sweeps[part]

    def groups(self, *parts: str) -> Iterator[tuple[str, dict[int, Ran]]]:
        """Yield what has the same settings, by seed: its name, such as `sgd lr=0.1`, and the runs.

        Args:
            parts: these alone; all that have runs by default.
        """
        for part in parts or self.sweeps:
            found: dict[str, dict[int, Ran]] = {}
            for ran in self.runs(part):
                found.setdefault(" ".join(filter(None, [part, ran.label])), {})[ran.seed] = ran
            yield from found.items()

    def against(self, to: str) -> Iterator[tuple[str, Ran, Ran]]:
        """Yield each run of the other parts with that of one part at the same seed.

        Args:
            to: the part that the others are held against; its runs are alike but for the seed.

        Yields:
            The other's name, such as `divided accumulate=2`, its run, and that of `to`.
        """
        ((_, others),) = self.groups(to)
        for name, runs in self.groups():
            if name != to:
                yield from ((name, ran, others[seed]) for seed, ran in runs.items())

    def by_setting(self, part: str, key: str) -> dict[Any, dict[int, Ran]]:
        """Return a part's runs by the value of a key, and by seed."""
        found: dict[Any, dict[int, Ran]] = {}
        for ran in self.runs(part):
            found.setdefault(ran.setting(key), {})[ran.seed] = ran
        return found
