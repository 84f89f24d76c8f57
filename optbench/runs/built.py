"""Runs built without being trained: what they are, and whether they fit together."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from optbench.assemble.data import dataset
from optbench.config.run_spec import RunSpec
from optbench.errors import OwnCodeError, UserError
from optbench.runs.surroundings import check_surroundings

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment

PARTS = ("model", "dataset", "task")
"""Nodes of a config of which runs are built once for each value."""


def built(base: RunSpec) -> tuple[Experiment, Any]:
    """Build a run, and return it with its data; the process is left as it was found.

    Raises:
        UserError: its data or device is missing, or its parts do not fit together.
        OwnCodeError: code of the user's own fails.
    """
    data = check_surroundings(base)
    from optbench.assemble.experiment import build_experiment
    from optbench.runs.process import left_as_found
    from optbench.training.distributed import join

    with left_as_found():
        world = join(base.config.device)
        return build_experiment(base.config, data, world, None, base.names), data


def check_one_fits(specs: Iterable[RunSpec]) -> None:
    """Refuse runs of which none can be built; one that can't among others fails by itself.

    Of runs that differ in numbers only, the first is built. Code of the user's own that fails is no
    reason to refuse: its run says where.

    Raises:
        UserError: why the first one can't be built.
    """
    problem: UserError | None = None
    seen: set[str] = set()
    for spec in specs:
        optimizer = spec.plain["optimizer"].get("_target_")
        said = json.dumps([[spec.plain[part] for part in PARTS], optimizer], default=str)
        if said in seen:
            continue
        seen.add(said)
        try:
            built(spec)
        except OwnCodeError:
            return
        except UserError as error:
            problem = problem or error
        else:
            return
    if problem is not None:
        raise problem


def check_fits(spec: RunSpec) -> None:
    """Build a run if its data is at hand; nothing is downloaded to find out.

    Raises:
        UserError, OwnCodeError: see `built`; not for data or a device that is missing.
    """
    own = dict(spec.config.dataset)
    if "download" in own:
        own["download"] = False
    here = replace(spec, config=replace(spec.config, dataset=own, device="cpu", strategy="ddp"))
    try:
        dataset(here.config)
    except UserError:
        return
    built(here)
