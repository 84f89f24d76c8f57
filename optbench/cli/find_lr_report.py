"""What `find-lr` tells and leaves: a table, two pictures, JSON, and the command to train with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optbench.cli.find_lr_caveats import caveats
from optbench.compose.composer import keys_of
from optbench.compose.quoting import value_text
from optbench.config.run_spec import RunSpec
from optbench.console import OUT, print_lines, print_table, shown
from optbench.errors import UserError
from optbench.escape import shell_word
from optbench.plots import png
from optbench.plots.terminal import ascii_only, curve
from optbench.rundir import RunDir
from optbench.search.lr_range import (
    DIVERGED,
    RECOMMENDED,
    RULES,
    SMOOTHING,
    Curve,
    Ramp,
    Spread,
    jump,
)

if TYPE_CHECKING:
    from optbench.search.find_lr import Trial

LABELS = {
    "valley": "valley: the middle of the longest descent",
    "steepest": "steepest descent over log lr",
    "minimum_over_ten": "a tenth of the minimum's",
}


def report(
    folder: RunDir,
    spec: RunSpec,
    ramp: Ramp,
    trials: Sequence[Trial],
    where: Mapping[str, Any],
    base: float,
    player: str,
    config_dir: str | None = None,
) -> float | None:
    """Writes the files and prints; returns the recommended learning rate, if there is one.

    Args:
        folder: for the files.
        spec: what the command line asked to train.
        ramp, trials: the tests, one a seed.
        where: versions and hardware.
        base: the learning rate in whose place the ramp was.
        player: whose.
        config_dir: of the user's own configs, for the command.
    """
    spreads = {rule: Spread.of([trial.suggestions[rule] for trial in trials]) for rule in RULES}
    lr = spreads[RECOMMENDED].median
    command = None if lr is None else train_command(spec, lr, base, player, config_dir)
    against = caveats(ramp, trials)
    folder.write_json(
        "find-lr.json",
        {
            "recommended": {
                **{"rule": RECOMMENDED, "lr": lr, "command": command},
                "caveats": against,
            },
            "suggestions": {rule: dataclasses.asdict(spread) for rule, spread in spreads.items()},
            "seeds": {str(trial.seed): _trial(trial) for trial in trials},
            "ramp": dataclasses.asdict(ramp),
            "smoothing": SMOOTHING,
            "diverges_at_times": DIVERGED,
            "overrides": spec.overrides,
            "choices": spec.choices,
            "config": spec.plain,
            "environment": dict(where),
        },
    )
    _print(folder, spec, ramp, trials, spreads)
    try:
        _picture(folder, spec, ramp, trials, spreads)
        names = "find-lr.png, find-lr.json"
    except UserError as error:  # without matplotlib the rest is as good
        names = f"find-lr.json (no picture: {error})"
    lines = ["", f"in {shown(folder.path)}: {names}"]
    if command is None:
        lines += ["the loss does not fall by more than its noise: nothing to recommend"]
    else:
        lines += [f"caution: {caveat}" for caveat in against]
        lines += ["train with", f"  {command}"]
    print_lines("\n".join(lines))
    return lr


def _trial(trial: Trial) -> dict[str, Any]:
    smooth = trial.curve.before_divergence().smoothed()
    return {
        "suggestions": trial.suggestions,
        "ended": trial.ended,
        "message": trial.message,
        "skipped_steps": trial.skipped,
        "lr": trial.curve.lrs,
        "loss": trial.curve.losses,
        "smoothed_lr": smooth.lrs,
        "smoothed_loss": smooth.losses,
    }


def train_command(
    spec: RunSpec, lr: float, base: float, player: str, config_dir: str | None = None
) -> str:
    """The command that trains with `lr`: the player's others follow it in proportion."""
    own = spec.config.players[player]
    optimizer, at = own.optimizer, f"{own.at}optimizer"
    factor = lr / base
    new = {f"{at}.lr": f"{lr:.3g}"}
    companion = optimizer.get("companion")
    if companion and "lr" in companion:
        new[f"{at}.companion.lr"] = f"{float(companion['lr']) * factor:.3g}"
    if any(pattern.get("lr") is not None for pattern in optimizer["groups"]):
        patterns = [
            {
                k: float(f"{v * factor:.3g}") if k == "lr" and v is not None else v
                for k, v in pattern.items()
            }
            for pattern in optimizer["groups"]
        ]
        new[f"{at}.groups"] = value_text(patterns)
    said = zip(spec.overrides, keys_of(spec.overrides), strict=True)
    kept = [line for line, key in said if key not in (*new, "hydra.run.dir")]
    flags = ["--config-dir", config_dir] if config_dir else []
    words = [*flags, *kept, *(f"{key}={value}" for key, value in new.items())]
    return " ".join(["optbench train", *map(shell_word, words)])


def _print(
    folder: RunDir,
    spec: RunSpec,
    ramp: Ramp,
    trials: Sequence[Trial],
    spreads: Mapping[str, Spread],
) -> None:
    series = {f"seed {t.seed}": _drawn(_smooth(t), trials) for t in trials}
    drawn = curve(
        series,
        x_label="lr",
        y_label="smoothed loss",
        log_x=not ramp.linear,
        ascii_only=ascii_only(OUT),
    )
    print_lines(f"{drawn}\n")
    rows = []
    for rule, spread in spreads.items():
        numbers = [_number(v) for v in (spread.median, spread.low, spread.high)]
        each = " ".join(_number(trial.suggestions[rule]) for trial in trials)
        mark = " (recommended)" if rule == RECOMMENDED else ""
        rows.append([LABELS[rule] + mark, *numbers, each])
    print_table("", ["rule", "lr", "least", "greatest", "by seed"], rows)
    for trial in trials:
        steps = len(trial.curve.losses)
        why = f": {trial.message}" if trial.message else ""
        still = (
            trial.ended == "finished"
            and min(trial.curve.smoothed().losses[1:]) in (trial.curve.smoothed().losses[-2:])
        )
        more = "; the loss still falls: raise --to" if still else ""
        print_lines(f"seed {trial.seed}: {trial.ended} after {steps} steps{why}{more}")
    replaced = [k for k in keys_of(spec.overrides) if _is_replaced(k)]
    if replaced:
        print_lines(f"for the test the ramp takes the place of {', '.join(replaced)}")


def _is_replaced(key: str) -> bool:
    return key in ("steps", "epochs", "ema", "nonfinite") or "schedule" in key.partition(".")[0]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _smooth(trial: Trial) -> Curve:
    return trial.curve.before_divergence().smoothed()


def _drawn(line: Curve, trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
    """A curve, cut off where it leaves the picture: a diverging loss would flatten the rest."""
    seen = [(trial.curve.losses, _smooth(trial).losses) for trial in trials]
    seen = [(losses, smoothed) for losses, smoothed in seen if losses]
    best = min((min(smoothed) for _, smoothed in seen), default=0.0)
    first = max((smoothed[0] for _, smoothed in seen), default=0.0)
    noisy = best + DIVERGED * max((jump(losses) for losses, _ in seen), default=0.0)
    top = max(first + (first - best) / 2, DIVERGED * best, noisy)
    return line.lrs, [min(loss, top) for loss in line.losses]


def _picture(
    folder: RunDir,
    spec: RunSpec,
    ramp: Ramp,
    trials: Sequence[Trial],
    spreads: Mapping[str, Spread],
) -> None:
    series = {f"batches, seed {trials[0].seed}": _drawn(trials[0].curve, trials)}
    for trial in trials:
        series[f"smoothed, seed {trial.seed}"] = _drawn(_smooth(trial), trials)
    markers = {
        f"{rule} {spread.median:.2g}": spread.median
        for rule, spread in spreads.items()
        if spread.median is not None
    }
    said = [o for o in spec.overrides if o.startswith("optimizer.") and len(o) < 40]
    png.save(
        folder.path / "find-lr.png",
        series,
        title=" ".join([f"find-lr: {spec.config.name}", *said]),
        x_label="learning rate",
        y_label="training loss",
        log_x=not ramp.linear,
        markers=markers,
    )
