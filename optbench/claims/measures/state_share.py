"""How much of the optimizer's state a rank keeps, where several share it out."""

from __future__ import annotations

from optbench.claims.found import Found, Ran
from optbench.claims.measured import Measured
from optbench.plots.png import Picture


def measure(found: Found, whole: str) -> Measured:
    """Return the first rank's bytes times the number of ranks, over those of one that has all.

    By seed; 1 is an even share, the number of ranks no share at all.

    Args:
        whole: the part whose runs have all of the state on each rank.
    """
    values: dict[str, dict[int, float | None]] = {}
    kept: dict[int, float] = {}
    for _, ran, other in found.against(whole):
        ranks = ranks_of(ran)
        values.setdefault(f"{ranks} ranks", {})[ran.seed] = ranks * bytes_of(ran) / bytes_of(other)
        kept |= {1: bytes_of(other), ranks: bytes_of(ran)}
    sizes = sorted(kept)
    picture = Picture(
        {
            "a rank's": (sizes, [kept[ranks] / 1e3 for ranks in sizes]),
            "all, over the ranks": (sizes, [kept[1] / 1e3 / ranks for ranks in sizes]),
        },
        title="optimizer's state",
        x_label="ranks",
        y_label="kB",
        log_x=True,
        log_y=True,
    )
    return Measured(values, [picture])


def ranks_of(ran: Ran) -> int:
    """Return how many ranks trained a run."""
    return int(ran.result.folder.read_json("env.json")["world_size"])


def bytes_of(ran: Ran) -> float:
    """Return the bytes of the optimizer's state of the first rank."""
    return float(ran.result.costs["state_bytes"])
