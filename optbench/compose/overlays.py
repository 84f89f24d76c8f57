"""What an overlay says about a model, data set, optimizer or schedule holds for what it chose.

A workload that takes AdamW with weight decay 0.1 has not said that SGD, chosen in its place on the
command line, shall have a weight decay of 0.1, nor that an LSTM, in the place of its plain
recurrent network, shall have ReLUs. An overlay that chose none means whichever there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from optbench.compose.files import OVERLAYS, ConfigFiles
from optbench.compose.players import OWN, choice_key
from optbench.config.conform import UnknownKey
from optbench.config.keys import find
from optbench.errors import UserError

NODES = ("model", "dataset", *OWN)
"""The groups whose settings belong to the file that was chosen, not to the run."""


def drop_replaced_settings(
    cfg: DictConfig,
    files: ConfigFiles,
    choices: Mapping[str, str],
    reference: Mapping[str, Any],
    typed: Sequence[str],
) -> None:
    """Take back, in `cfg`, what overlays say that no longer holds.

    That is what they say about files that somebody else replaced, and how long the run is in epochs
    if the command line says it in steps.

    Args:
        cfg: the composed config.
        files: the overlays among them.
        choices: the files that were chosen in the end.
        reference: defaults of these.
        typed: the keys set on the command line, which hold whatever was chosen.
    """
    for given, other in (("steps", "epochs"), ("epochs", "steps")):
        if given in typed and other not in typed:
            cfg[other] = None
    said = list(_said(files, choices))
    kept = {key for _, key, _, holds in said if holds}
    for node, key, setting, holds in said:
        if holds or key in kept or key in typed:
            continue
        default = _select(reference, node)
        with open_dict(cfg):
            if setting in default:
                OmegaConf.update(cfg, key, default[setting], merge=False)
            else:
                OmegaConf.select(cfg, node).pop(setting, None)


def names_overlay(
    error: UnknownKey, files: ConfigFiles, choices: Mapping[str, str], typed: Sequence[str]
) -> UserError:
    """Return an error about a key that nobody typed with the overlay that has it."""
    if error.key in typed:
        return error
    for group in OVERLAYS:
        for name, said in files.written(group, choices[group]):
            if find(said, error.key) is not None:
                return UserError(f"{group}={name}: {error}")
    return error


def may_drop(files: ConfigFiles, choices: Mapping[str, str]) -> set[str]:
    """Return the keys of the config in which `drop_replaced_settings` may take something back."""
    found = {"steps", "epochs"}
    with suppress(UserError):  # it raises the same
        for node, _, _, holds in _said(files, choices):
            if not holds:
                found.add(node.partition(".")[0])
    return found


def _said(files: ConfigFiles, choices: Mapping[str, str]) -> Iterator[tuple[str, str, str, bool]]:
    """Yield node, dotted key, setting, and whether it holds, of all that overlays say."""
    for group in ("task", *OVERLAYS):
        for name, said in files.written(group, choices[group]):
            for own in NODES:
                block = said.get(own)
                if block is not None and not isinstance(block, Mapping):
                    raise UserError(f"{group}={name}: {own}={block}: expected a group of keys")
                chosen = files.chosen(group, name, own) if block else None
                for setting in block or ():
                    holds = chosen is None or chosen == choices[own]
                    yield own, f"{own}.{setting}", setting, holds
        yield from _said_of_players(files, group, choices)


def _said_of_players(
    files: ConfigFiles, group: str, choices: Mapping[str, str]
) -> Iterator[tuple[str, str, str, bool]]:
    for name, player in files.players_of(group, choices[group]).items():
        for own in OWN:
            key = choice_key(name, own)
            chosen = files.chosen(group, choices[group], key)
            if chosen is None:  # it is said of the task's
                chosen = files.chosen("task", choices["task"], key)
            holds = chosen is None or chosen == choices.get(key)
            for setting in player.get(own) or ():
                node = f"player.{name}.{own}"
                yield node, f"{node}.{setting}", setting, holds


def _select(reference: Mapping[str, Any], node: str) -> Mapping[str, Any]:
    found: Any = reference
    for part in node.split("."):
        found = found[part]
    return dict(found)
