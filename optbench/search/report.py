"""What `find-lr` tells and leaves: a table, two pictures, JSON, and the command to train with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optbench.compose.commands import train_command
from optbench.compose.composer import keys_of
from optbench.config.run_spec import RunSpec
from optbench.console import OUT, picture_width, print_lines, print_table, print_text, shown
from optbench.errors import UserError
from optbench.plots.terminal import ascii_only, curve
from optbench.rundir import RunDir
from optbench.search.caveats import caveats
from optbench.search.lr_range import RECOMMENDED, RULES, Ramp, Spread
from optbench.search.range_picture import drawn, save_picture, smooth
from optbench.search.range_record import measured
from optbench.search.range_table import HEADER, end_of, rows_of

if TYPE_CHECKING:
    from optbench.search.find_lr import Trial
    from optbench.search.range_runs import Tested


def report(
    spec: RunSpec,
    ramp: Ramp,
    tested: Tested,
    player: str,
    config_dir: str | None = None,
) -> float | None:
    """Write the files and print; return the recommended learning rate, if there is one.

    Args:
        spec: what the command line asked to train.
        ramp, tested: the tests.
        player: whose learning rate.
        config_dir: of the user's own configs, for the command.
    """
    folder, trials = tested.folder, tested.trials
    record = recorded(spec, ramp, tested, player, config_dir)
    spreads = spreads_of(trials)
    _print(folder, spec, ramp, trials, spreads)
    try:
        said = [o for o in spec.overrides if o.startswith("optimizer.") and len(o) < 40]
        title = " ".join([f"find-lr: {spec.config.name}", *said])
        save_picture(folder.path / "find-lr.png", title, ramp, trials, spreads)
        names = "find-lr.png, find-lr.json"
    except UserError as error:  # without matplotlib the rest is as good
        names = f"find-lr.json (no picture: {error})"
    found = record["recommended"]
    _say(f"in {shown(folder.path)}: {names}", found["command"], found["caveats"])
    lr: float | None = found["lr"]
    return lr


def spreads_of(trials: Sequence[Trial]) -> dict[str, Spread]:
    """Return each rule's suggestions over the seeds."""
    return {rule: Spread.of([trial.suggestions[rule] for trial in trials]) for rule in RULES}


def recorded(
    spec: RunSpec, ramp: Ramp, tested: Tested, player: str, config_dir: str | None
) -> dict[str, Any]:
    """Write `find-lr.json`, and return what it says; see `report`."""
    trials = tested.trials
    spreads = spreads_of(trials)
    lr = spreads[RECOMMENDED].median
    command = None if lr is None else train_command(spec, lr, tested.base, player, config_dir)
    against = caveats(ramp, trials)
    recommended = {"rule": RECOMMENDED, "lr": lr, "command": command, "caveats": against}
    record = {"recommended": recommended, **measured(ramp, trials, spreads)}
    record |= {"overrides": spec.overrides, "choices": spec.choices, "config": spec.plain}
    tested.folder.write_json("find-lr.json", record | {"environment": dict(tested.where)})
    return record


def _say(where: str, command: str | None, against: Sequence[str]) -> None:
    """Print where the files are, what speaks against the recommendation, and what to train with."""
    lines = ["", where]
    if command is None:
        lines += ["the loss does not fall by more than its noise: nothing to recommend"]
    else:
        lines += [*(f"caution: {caveat}" for caveat in against), "train with"]
    print_text("\n".join(lines))
    if command is not None:
        print_lines(f"  {command}")  # to be pasted, so in one line


def _print(
    folder: RunDir,
    spec: RunSpec,
    ramp: Ramp,
    trials: Sequence[Trial],
    spreads: Mapping[str, Spread],
) -> None:
    series = {f"seed {t.seed}": drawn(smooth(t), trials) for t in trials}
    picture = curve(
        series,
        width=picture_width(),
        x_label="lr",
        y_label="smoothed loss",
        log_x=not ramp.linear,
        ascii_only=ascii_only(OUT),
    )
    print_lines(f"{picture}\n")
    print_table("", HEADER, rows_of(spreads, trials))
    for trial in trials:
        print_text(end_of(trial))
    replaced = [k for k in keys_of(spec.overrides) if _is_replaced(k)]
    if replaced:
        print_text(f"for the test the ramp takes the place of {', '.join(replaced)}")


def _is_replaced(key: str) -> bool:
    return key in ("steps", "epochs", "ema", "nonfinite") or "schedule" in key.partition(".")[0]
