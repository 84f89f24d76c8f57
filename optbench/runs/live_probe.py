"""Instruments in a run as it trains: what `probe.every` and `probe.instruments` ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optbench.assemble.own import told
from optbench.errors import UserError, memory_wanting
from optbench.training.callback import Callback
from optbench.training.signals import Abandoned

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment
    from optbench.instruments.base import Instrument
    from optbench.instruments.look import Look
    from optbench.training.trainer import Trainer

Said = str | Mapping[str, Any]
KEY = "probe.instruments"


def instruments(said: Sequence[Said]) -> dict[str, Instrument]:
    """Make the instruments that are named, by what each calls itself.

    Raises:
        UserError: there is none of a name, or it refuses its arguments.
    """
    from optbench.assemble.instruments import make_instruments

    made = make_instruments(said, key=KEY)
    return {str(getattr(each, "name", type(each).__name__)): each for each in made}


class LiveProbe(Callback):
    """Measures a run every so many steps, and records `probe/<name>`; the run is as without.

    What can't measure is left out from then on, with its reason, told once. With several ranks all
    measure, of the same examples, and rank 0 records; what fails on one of them ends the run.

    Args:
        measured: each player's own instruments by name: some remember what they saw before.
        every: so many steps.
        warn: is told of what is left out.
    """

    def __init__(
        self,
        measured: Mapping[str, Mapping[str, Instrument]],
        every: int,
        warn: Callable[[str], None],
    ) -> None:
        self.every = every
        self._measured, self._warn = measured, warn
        self._left_out: set[tuple[str, str]] = set()

    def on_due(self, trainer: Trainer, step: int) -> None:
        """Measure, and write one record."""
        from optbench.instruments.look import Look

        values: dict[str, float] = {}
        reasons: dict[str, list[str]] = {}
        several = len(trainer.players) > 1
        for player in trainer.players:
            look, prefix = Look(trainer, player.name), f"{player.name}/" if several else ""
            for name, instrument in self._measured[player.name].items():
                if (player.name, name) not in self._left_out:
                    try:
                        with trainer.state.watching.of(f"probe/{name}"):
                            found = self._take(name, instrument, look)
                    except Abandoned as asked:
                        self._warn(f"probe: step {step} is not measured: {asked}")
                        return
                    if isinstance(found, str):
                        self._left_out.add((player.name, name))
                        reasons.setdefault(found, []).append(f"{prefix}{name}")
                        continue
                    values |= {f"probe/{prefix}{tag}": value for tag, value in found.items()}
        if values:
            trainer.reporter.write("probe", values)
        for reason, names in reasons.items() if trainer.world.is_main else ():
            verb = "is" if len(names) == 1 else "are"
            self._warn(f"probe: {', '.join(names)} {verb} left out: {reason}")

    def _take(self, name: str, instrument: Instrument, look: Look) -> Mapping[str, float] | str:
        """Return what an instrument measured, or why it can't.

        Raises:
            Abandoned: a signal came; of several ranks one can't leave the others waiting.
        """
        trainer = look.trainer

        def progress(done: int, of: int) -> None:
            if trainer.interruption.number and trainer.world.size == 1:
                raise Abandoned(trainer.interruption.number)

        try:
            reason = instrument.lacking(look)
            if reason is None:
                values = instrument.measure(look, progress).values
                return {str(tag): float(value) for tag, value in values.items()}
        except Abandoned:
            raise
        except UserError as error:
            reason = str(error)
        except Exception as error:
            if look.trainer.world.size > 1:
                raise
            modules = [type(instrument).__module__]
            reason = memory_wanting(error) or str(told(error, name, modules))
        return reason.removeprefix(f"{name}: ")


def live_probes(experiment: Experiment, warn: Callable[[str], None]) -> list[LiveProbe]:
    """Return what probes a run as it trains; nothing where nobody asks.

    Raises:
        UserError: an instrument that there is not.
    """
    from optbench.training import rng

    probe, settings = experiment.config.probe, experiment.settings
    every = probe.every.steps(experiment.feed.steps_per_epoch, settings.total_steps)
    if not every:
        return []
    drawn = rng.capture()
    made = {player.name: instruments(probe.instruments) for player in experiment.state.players}
    rng.restore(drawn)  # a module may draw as it is imported
    return [LiveProbe(made, every, warn)]
