"""The settings of how a run is watched: what is measured, probed, and warned of.

They are a part of `run_config`, where all others are declared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.config.fields import (
    LENGTH,
    Field,
    each,
    instrument,
    rule,
    sink,
    word,
)
from optbench.config.lengths import Length
from optbench.config.setting import setting


@dataclass(frozen=True)
class Monitor:
    """How often the run is measured, and what is written."""

    every: Length = setting(
        10,
        "gradient norms, update ratios, throughput, memory",
        LENGTH,
        example="monitor.every=10",
    )
    histograms: Length = setting(0, "sampled histograms of parameters and gradients", LENGTH)
    per_parameter: bool = setting(True, "norms and ratios of each parameter, not only the total")
    flops: bool = setting(
        False,
        "count a step's operations once: throughput/mfu, and memory by part",
        before=False,
    )
    doctor: bool = setting(
        True, "warn of what looks wrong, as it trains", before=False, example="monitor.doctor=false"
    )
    tensorboard: bool = setting(True)
    sinks: Sequence[str | Mapping[str, Any]] = setting(
        [],
        "where measurements go too: csv, wandb, mlflow, {_target_: my.module.Sink}",
        Field(each(sink), "a list of csv, wandb, mlflow or {_target_: my.module.Sink}"),
        before=(),
        example="monitor.sinks=[csv]",
    )


@dataclass(frozen=True)
class Probe:
    """How often a run is probed as it trains, and by which instruments."""

    every: Length = setting(
        0,
        "instruments of optbench probe, as it trains",
        LENGTH,
        before=Length(0),
        example="probe.every=100",
    )
    instruments: Sequence[str | Mapping[str, Any]] = setting(
        ["economy"],
        "names, names of sets, {_target_: noise_scale, examples: 256} or of your own",
        Field(each(instrument), "a list of names or {_target_: my.module.Instrument}"),
        before=(),
        example="probe.instruments=[noise_scale]",
    )


@dataclass(frozen=True)
class Doctor:
    """Symptoms that end a run; see `optbench doctor --help`."""

    stop_on: Sequence[str] = setting(
        [],
        "symptoms that end the run, such as divergence (optbench doctor --help)",
        Field(each(word), "a list of symptoms"),
        before=(),
        example="doctor.stop_on=[divergence]",
    )
    rules: Sequence[Mapping[str, Any]] = setting(
        [],
        "of your own: {_target_: my.module.Rule}",
        Field(each(rule), "a list of {_target_: my.module.Rule}"),
        before=(),
    )
