"""A schedule of a population's best member, from the file that `optbench pbt` left. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optbench.assemble.create import call, locate
from optbench.config.replayed import LR, fault, numbers
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError, reason
from optbench.files import load_yaml
from optbench.schedules.base import Schedule

REPLAY = "optbench.schedules.replay.Replay"


def build_replay(
    node: Mapping[str, Any],
    total_steps: int,
    key: str,
    build: Callable[[Mapping[str, Any]], Schedule],
) -> Schedule:
    """Return the schedule of a node that names such a file.

    Args:
        node: with `file` and `of`.
        total_steps: of what it is the schedule of.
        key: of the node, for messages.
        build: makes the schedule that went on all the while.

    Raises:
        UserError: no such file, another file, one of a run of another length, or without the key.
    """
    path, of = node["file"], str(node["of"])
    at = f"{key}.file={path}"
    if path is None:
        raise UserError(
            f"{key}.file=null: which file? such as {key}.file=STUDY/replay.yaml, by optbench pbt"
        )
    try:
        plain = load_yaml(str(path))
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise UserError(f"{key}.file: {why}") from None
    why_not = fault(plain)
    if why_not is not None:
        raise UserError(f"{at}: not what optbench pbt writes ({why_not})")
    if plain["steps"] != total_steps:
        raise UserError(
            f"{at}: of a run of {plain['steps']} steps; this is one of {total_steps}"
            + ("; it has its warmup itself" if node.get("warmup_steps") else "")
        )
    values = plain["values"]
    if of == LR:
        rates = values.get(LR, [plain["lr"]] * len(plain["ends"]))
        if not numbers(rates):
            raise UserError(f"{at}: not what optbench pbt writes (values: {LR}: no learning rates)")
        try:
            inner = build(plain["schedule"])
        except (KeyError, TypeError) as error:
            why = f"schedule: {error} is missing" if isinstance(error, KeyError) else str(error)
            raise UserError(f"{at}: not what optbench pbt writes ({why})") from None
        return _made(key, [rate / plain["lr"] for rate in rates], plain["ends"], inner)
    if of not in values:
        raise UserError(f"{key}.of={of}: not in {path}; {did_you_mean(of, [LR, *values])}")
    if not numbers(values[of]):
        raise UserError(f"{key}.of={of}: its values are no numbers from 0 on")
    return _made(key, list(map(float, values[of])), plain["ends"])


def _made(key: str, *arguments: Any) -> Schedule:
    made: Schedule = call(locate(REPLAY, key), key, *arguments)
    return made
