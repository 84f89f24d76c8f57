"""A run that is gone on with: from its own config, with what is to change."""

from __future__ import annotations

from collections.abc import Sequence

from optbench.compose.composer import Composer
from optbench.compose.players import refuse_unowned
from optbench.compose.resumed import apply
from optbench.config.run_spec import RunSpec
from optbench.config.schema import from_plain
from optbench.rundir import RunDir
from optbench.runs.saved import Saved
from optbench.runs.sweep import of_its_sweep


def changed_spec(
    composer: Composer, folder: RunDir, saved: Saved, overrides: Sequence[str]
) -> RunSpec:
    """The run with the overrides."""
    said = folder.read_overrides()
    choices = said["choices"]
    saved.check(folder, composer.files)
    if saved.plain.get("player"):
        refuse_unowned(saved.plain, {}, choices, overrides)
    plain = apply(composer, saved.plain, overrides, choices.get("task", "auto"))
    chosen = {str(o.get_key_element()): str(o.value()) for o in composer.parse(overrides)}
    choices = {g: chosen.get(g, c) for g, c in choices.items()}
    every = [*said["overrides"], *overrides]
    spec = RunSpec(from_plain(plain), plain, every, choices, str(folder.path))
    return of_its_sweep(spec, folder)
