"""Which key was meant: the nearest one in the whole config, with what newcomers call it.

A key is looked for beside the one that was written, then everywhere; one that can't take the value
counts less.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from optbench.config.declared import field_of
from optbench.config.fields import Field, word
from optbench.config.suggest import flat, likeness, nearest

CALLED: dict[str, tuple[str, ...]] = {
    "lr": ("learning_rate", "eta"),
    "weight_decay": ("wd", "decay", "l2"),
    "betas": ("beta", "beta1", "beta2", "momentum"),
    "momentum": ("beta", "beta1"),
    "warmup_steps": ("warmup", "warmup_epochs", "warmup_ratio"),
    "clip.norm": ("clip", "clip_grad", "grad_clip", "max_grad_norm", "gradient_clip_val"),
    "batch_size": ("bs", "batch", "minibatch"),
    "steps": ("iterations", "iters", "max_steps"),
    "epochs": ("n_epochs", "num_epochs", "max_epochs"),
    "accumulate": ("grad_accum", "accumulation", "gradient_accumulation_steps"),
    "eval.every": ("eval_interval", "val_every", "eval_steps"),
    "eval.examples": ("limit_val_batches", "eval_iters", "max_eval_samples"),
    "monitor.every": ("log_every", "log_interval", "logging_steps"),
    "checkpoint.every": ("save_every", "save_interval", "save_steps"),
    "early_stopping.patience": ("early_stop", "early_stopping"),
    "early_stopping.metric": ("monitor",),
    "patch_size": ("patch",),
    "width": ("dim", "d_model", "n_embd", "hidden_size", "hidden_dim", "embed_dim"),
    "sync_period": ("k",),
    "workers": ("num_workers", "n_workers"),
    "ema": ("ema_decay", "averaging"),
    "model": ("arch", "architecture", "net", "network"),
    "dataset": ("data", "ds"),
    "optimizer": ("opt", "optim", "optimiser"),
    "schedule": ("sched", "scheduler", "lr_scheduler", "lr_schedule"),
    "precision": ("amp", "fp16", "bf16", "dtype", "mixed_precision"),
    "data_root": ("data_dir", "data_path"),
    "resume": ("resume_from", "ckpt"),
    "implementation": ("fused", "foreach"),
    "task.loss._target_": ("loss", "criterion", "loss_fn", "loss_function"),
}
"""What other programs call a key; a name that is a key of ours means it too."""

MOST = 25
"""Keys that are listed where none is alike; a page of help has more of them."""

FLAGS = {"fused": "fused", "foreach": "foreach", "capturable": "fused", "differentiable": "loop"}
"""torch's flags of how a step runs, which are one key here, and what they come to."""

REFUSED = 0.3
"""What a key loses that can't take the value."""
SHORT = 2
"""Letters of a key, such as `at`, that is meant by no word but one that it begins."""
BESIDE = 0.1
"""What a key gains that stands beside the one that was written, or below."""
ELSEWHERE = 0.97
"""Least score of a key that stands elsewhere than in the group that was named."""
LEAST = 0.72
"""A lower score is not alike."""


def children(node: Mapping[str, Any]) -> list[str]:
    """Return the keys that may be set in a node."""
    return [str(key) for key in node if not str(key).startswith("_") and key != "hydra"]


def join(at: str, key: str) -> str:
    """Join a dotted key."""
    return f"{at}.{key}" if at else str(key)


def find(config: Mapping[str, Any], key: str) -> Any:
    """Return what stands at a dotted key, None if nothing does."""
    found: Any = config
    for part in key.split(".") if key else ():
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def meant(key: str, value: Any, config: Mapping[str, Any], at: str = "") -> str:
    """Return `did you mean optimizer.lr?`, or the list of what there is when nothing is alike.

    Args:
        key: as it was written, dotted; there is none such.
        value: for it; None if that is not known.
        config: plain and nested, all that may be set.
        at: the dotted key of `config` itself, for messages.
    """
    parent, beside = _beside(key, config)
    flag = _of_implementation(key, value, config)
    if flag:
        return f"how a step runs is said by {join(at, flag)}"
    best = nearest_key(key, value, config)
    if best is not None:
        return f"did you mean {_said(best, value, config, at)}?"
    if not beside:
        return f"{at or parent} takes no keys"
    if len(beside) > MOST and not at:
        return "optbench train --cfg job names them all"
    return f"choose from {', '.join(sorted(name.rpartition('.')[2] for name in beside))}"


def _said(key: str, value: Any, config: Mapping[str, Any], at: str) -> str:
    """Return a key as it can be typed, with the value where only a list of it would be taken."""
    if "[" in at or at.endswith("_schedule"):  # within a mapping, which is given whole
        return key
    whole, default = join(at, key), find(config, key)
    listed = isinstance(default, list) and value is not None and not isinstance(value, list)
    if not listed or field_of(whole) is None:
        return whole
    return as_list(whole, value, default) or whole


def as_list(key: str, value: Any, default: Any) -> str | None:
    """Return the override that gives a key a list which begins with a value; None for no such one.

    Args:
        key: dotted; its field tells how many there are.
        default: what it is when nobody gives it, whose further items are kept.
    """
    field = field_of(key)
    if field is None or "[" in key or isinstance(value, Mapping | list) or not word_of(value):
        return None
    further = default[1:] if field.fixed and isinstance(default, list) else []
    items = [value, *further]
    try:
        field.read(items)
    except (ValueError, TypeError, OverflowError):
        return None
    return shlex.quote(f"{key}=[{','.join(word_of(item) for item in items)}]")


def word_of(value: Any) -> str:
    """Return a value as it is typed in a list; empty for a text that would need quotes there."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "" if any(letter in text for letter in " ,=[]{}'\"()") else text


def _of_implementation(key: str, value: Any, config: Mapping[str, Any]) -> str | None:
    """Return the override that says the same as a flag of torch's, None if it is no such flag."""
    parent, _, last = key.rpartition(".")
    own = f"{parent}.implementation" if parent else "implementation"
    if last not in FLAGS or find(config, own) is None:
        return None
    return f"{own}={'auto' if value is False else FLAGS[last]}"


def _beside(key: str, config: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the dotted key of the node that a key is in, and its keys; the whole if in none."""
    parent = key.rpartition(".")[0]
    node = find(config, parent)
    if not isinstance(node, Mapping):
        parent, node = "", config
    return parent, [f"{parent}.{name}" if parent else name for name in children(node)]


def nearest_key(key: str, value: Any, config: Mapping[str, Any]) -> str | None:
    """Return the dotted key most like one that there is not, None if none is alike."""
    parent, beside = _beside(key, config)
    last = key.removeprefix(f"{parent}.") if parent else key
    mended = _mended(key, config) if "." in last else None
    if mended is not None and _takes(mended, find(config, mended), value):
        return mended
    deeper = _deeper(key, config) if "." in last else None
    if deeper is not None:
        return deeper
    classes = [other for other in CALLED if other.endswith("_target_") and is_there(other, config)]
    scored: dict[str, float] = {}
    for other in dict.fromkeys([*beside, *leaves(config), *classes]):
        near = other in beside or (parent and other.startswith(f"{parent}."))
        score = _score(key, last, other)
        if parent and not near and score < ELSEWHERE:
            continue
        score += BESIDE if near else 0.0
        scored[other] = score - (0.0 if _takes(other, find(config, other), value) else REFUSED)
    best = max(scored, key=lambda other: scored[other], default=None)
    return best if best is not None and scored[best] >= LEAST else None


def _mended(key: str, config: Mapping[str, Any]) -> str | None:
    """Return a key with each part that is not there replaced by the one most like it beside it.

    `task.los._target_` is `task.loss._target_`; None if there is no such key.
    """
    node: Any = config
    parts = []
    for part in key.split("."):
        if not isinstance(node, Mapping):
            return None
        name = part if part in node else nearest(part, children(node))
        if name is None:
            return None
        parts.append(name)
        node = node[name]
    return ".".join(parts)


def is_there(key: str, config: Mapping[str, Any]) -> bool:
    """Return whether a dotted key stands in a config, be its value None."""
    parent, _, last = key.rpartition(".")
    node = find(config, parent)
    return isinstance(node, Mapping) and last in node


def _deeper(key: str, config: Mapping[str, Any], at: str = "") -> str | None:
    """Return the key that ends with one that was written: `task.loss._target_` of `loss._target_`.

    The least deep one; None if there is none.
    """
    nodes = [(join(at, name), config[name]) for name in children(config)]
    below = [(path, node) for path, node in nodes if isinstance(node, Mapping)]
    here = [join(path, key) for path, node in below if is_there(key, node)]
    found = (_deeper(key, node, path) for path, node in below)
    return here[0] if here else next((deeper for deeper in found if deeper is not None), None)


def setting(word: str, text: str, value: Any, config: Mapping[str, Any]) -> str | None:
    """Return the override `key=text` that a word means which is no key, None if it means none.

    Args:
        value: what the text says, None if there is none.
    """
    key = nearest_key(word, value, config)
    if key is None:
        return None
    default = find(config, key)
    if isinstance(default, list) and not isinstance(value, list):
        return (as_list(key, value, default) if text else None) or f"{key}=[...]"
    return f"{key}={text or ('true' if default is False else '...')}"


def instead(name: str, value: Any, node: Mapping[str, Any]) -> str | None:
    """Return the key that is called so elsewhere and can take the value, which this one can't."""
    for other in children(node):
        if name in CALLED.get(other, ()) and _takes(other, node[other], value):
            return other
    return None


def leaves(node: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Yield the dotted keys that hold a value, those least deep first."""
    below = []
    for key in children(node):
        dotted = f"{at}.{key}" if at else key
        if isinstance(node[key], Mapping) and node[key]:
            below.append((node[key], dotted))
        else:
            yield dotted
    for inner, dotted in below:
        yield from leaves(inner, dotted)


def _score(key: str, last: str, other: str) -> float:
    """Return how much a key looks like one that there is, or like what that is called elsewhere."""
    end = other.rpartition(".")[2]
    if "." in last:  # its parent is wrong too
        return max(likeness(flat(key), flat(other)), 0.8 * likeness(last.rpartition(".")[2], end))
    called = [*CALLED.get(end, ()), *CALLED.get(other, ())]
    if flat(last) in map(flat, called):
        return 0.98
    alike = likeness(last, end) if len(end) > SHORT or last.startswith(end) else 0.0
    return max(alike, likeness(flat(last), flat(other)))


def _takes(key: str, default: Any, value: Any) -> bool:
    """Return whether a key can take a value, as far as the table of fields and its default tell."""
    if value is None:
        return True
    if isinstance(default, Mapping):  # a number is no choice
        return isinstance(value, str | Mapping)
    field = field_of(key)
    if field is None:
        return isinstance(value, list) == isinstance(default, list)
    return _reads(field, value) or _reads(field, [value])


def _reads(field: Field, value: Any) -> bool:
    try:
        field.read(value)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def first_that_takes(key: str, node: Mapping[str, Any], value: Any) -> str | None:
    """Return a group's first key that can take a value, or None; texts take texts only."""
    for name in children(node):
        field = field_of(f"{key}.{name}")
        text = field is not None and field.read is word
        if field is None or value is None or (text and not isinstance(value, str)):
            continue
        names = getattr(field.read, "names", ())
        if names and value not in names:
            continue
        if _takes(f"{key}.{name}", node[name], value):
            return name
    return None
