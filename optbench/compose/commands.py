"""Commands that lead to a config, to be pasted."""

from __future__ import annotations

from optbench.compose.composer import keys_of
from optbench.compose.quoting import value_text
from optbench.config.run_spec import RunSpec
from optbench.escape import shell_word


def train_command(
    spec: RunSpec, lr: float, base: float, player: str, config_dir: str | None = None
) -> str:
    """Return the command that trains with `lr`: the player's others follow it in proportion."""
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
