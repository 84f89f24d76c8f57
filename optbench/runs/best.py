"""The test scores of the best checkpoint, beside the last's, when a run has ended."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from optbench.errors import UserError
from optbench.rundir import RunDir

if TYPE_CHECKING:
    from optbench.assemble.experiment import Experiment
    from optbench.training.signals import Interruption

_log = logging.getLogger(__name__)

TEST, TEST_BEST = "test/", "test_best/"


def scores_of_best(
    experiment: Experiment,
    folder: RunDir,
    metrics: Mapping[str, float],
    interruption: Interruption,
) -> dict[str, float]:
    """Return the best checkpoint's scores on the test set by tag, such as `test_best/accuracy`.

    The validation set has chosen the checkpoint; the test set chooses nothing. The model is
    afterwards as it was.

    Args:
        experiment: of a run that has ended.
        folder: the run's.
        metrics: the last values, which these are if the last step is the best.
        interruption: whether the run has been asked to stop.

    Returns:
        The scores; none without a validation or a test set, where the best checkpoint was not
        kept, among several ranks, or if the run is asked to stop.
    """
    from optbench.training.checkpoint import steps

    state, config = experiment.state, experiment.config
    best = state.best
    if experiment.test is None or best.value is None or state.world.size > 1:
        return {}
    if best.step == state.progress.step:
        return {f"{TEST_BEST}{t[len(TEST) :]}": v for t, v in metrics.items() if t.startswith(TEST)}
    if config.checkpoint.best is None or best.step not in steps(folder.checkpoints):
        return {}
    scores = _scores_at(best.step, experiment, folder, interruption)
    return {f"{TEST_BEST}{metric}": value for metric, value in scores.items()}


def _scores_at(
    step: int, experiment: Experiment, folder: RunDir, interruption: Interruption
) -> dict[str, float]:
    """Return a checkpoint's test scores; warn, and return none, if it can't be read.

    None without a warning if the run is asked to stop.
    """
    from optbench.assemble.examples import evaluation_sets
    from optbench.runs.weights import load_weights
    from optbench.training.evaluate import evaluate
    from optbench.training.notes import said
    from optbench.training.signals import Abandoned

    state, config = experiment.state, experiment.config
    modules = {player.name: player.module for player in state.players}
    kept = {name: copy.deepcopy(module.state_dict()) for name, module in modules.items()}
    device = state.world.device
    _, test = evaluation_sets(config, experiment.dataset, experiment.feed.source, device)
    assert test is not None
    try:
        load_weights(modules, folder, step)
        for module in modules.values():
            module.eval()
        return evaluate(
            task=state.task,
            modules=modules,
            source=test.source,
            indices=test.indices,
            batch_size=config.eval.batch_size,
            precision=state.precision,
            world=state.world,
            interruption=interruption,
        )
    except Abandoned:
        return {}
    except (UserError, OSError) as error:  # the run itself is as good as it was
        _log.warning("no test scores of the best checkpoint: %s", said(error))
        return {}
    finally:
        for name, module in modules.items():
            module.load_state_dict(kept[name])
            module.train()
        if hasattr(test.source, "end"):
            test.source.end()
