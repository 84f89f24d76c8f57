"""The texts of `--help`. Imports nothing heavy: help comes at once."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from optbench.cli.listing import groups
from optbench.config.declared import FIXED, SETTINGS

WIDTH = 80
"""Of every line here, whatever the terminal's."""

_FLAGS = """\
flags
  -m, --multirun      all combinations of comma-separated values:
                      -m optimizer=sgd,adamw seed=0,1
  --config-dir DIR    a folder of your own configs: DIR/optimizer/mine.yaml is
                      optimizer=mine
  --cfg job           print the composed config and do nothing
  --info, --hydra-help
                      what Hydra says about itself
"""

_MORE = {
    "optimizer.lr=1e-3": "any key of a chosen group",
    "schedule.warmup_steps=5%": "steps (100), epochs (5ep) or a part of the run (10%)",
    "dataset.val_fraction=0.1": "validation set, split off the training set",
    "hydra.run.dir=FOLDER": "a run folder of your own choice",
}
"""Examples of keys that are no settings of the run itself."""

_AFTER = """\
With several players, as in a GAN, each has its own:
player.generator.optimizer.lr, ...
optimizer.groups is a list of settings for some parameters, such as [{params:
"head.*", lr: 0.01}]; params are shell globs over names, and of several that
match the later one's settings win.
All keys with their defaults: optbench train --cfg job
"""


def _keys() -> str:
    """The settings that have an example, as they are declared, and some other keys."""
    examples = {each.example: each.help for each in SETTINGS.values() if each.example} | _MORE
    lines = [line for example, text in examples.items() for line in _key(example, text)]
    return "\n".join(["keys", *lines, _AFTER])


def _key(example: str, text: str) -> list[str]:
    """A line for a key, or more where its text does not fit one of 80 columns."""
    first, *others = textwrap.wrap(text, 49) or [""]
    return [f"  {example:<28} {first}".rstrip(), *(f"{'':<31}{line}" for line in others)]


_VERBS = {
    "list": """\
usage: optbench list [--config-dir DIR] [GROUP [NAME...]...]

What can be chosen, one line each; with a name, all about that choice: of an
optimizer, the zoo's too, its family, state, implementations, defaults and
paper. With --config-dir your own configs too.

groups
  {groups}

  optbench list schedules
  optbench list optimizer lion
""",
    "runs": """\
usage: optbench runs [FOLDER...] [FILTER...] [--csv | --json]

Past runs, the oldest first, a line each: when it began, its state, its best
value, its folder, tags, notes, and as many of the settings that differ among
them as there is room for; --csv and --json have them all. `killed` is a run
that says it is running, though no process is at it.
FOLDER is a run, a sweep, or what holds such; default: runs. A filter is
key=value; all of them have to hold, of values with commas one. * is any text.

  state=finished,running   tag=wide   name='*gpt*'   notes='*decay*'
  optimizer=sgd,adam       any group's choice
  optimizer.lr=1e-3        any setting of the config

tags=[wide,first] and notes=... are given to train, and to resume at any time:
  optbench resume RUN tags=[wide]
""",
    "find-lr": """\
usage: optbench find-lr [flags] [overrides of train]

The learning rate range test (Smith 2017): trains for a few steps while lr
rises and suggests one by three rules (steepest is recommended), over several
seeds. The ramp replaces schedules, EMA and the run's length; all groups' lr
follow in proportion. Where few points, one seed or an edge of the range speak
against it, it says so. Leaves find-lr.png, find-lr.json and TensorBoard events
in a folder of its own.

  --from 1e-7  --to 10     first and last lr
  --steps 100              of the ramp; it ends sooner when the loss rises to
                           4 x its best, and by 4 x its fall before
  --seeds 3                seed, seed + 1, ...
  --ramp exponential       or linear
  --player NAME            whose lr, where the task has several players
  --config-dir DIR         a folder of your own configs
""",
    "show": """\
usage: optbench show [--png FILE] [overrides of train]

Draws the learning rate over a run, and momentum, beta2 and weight decay if they
are scheduled, in the terminal and with --png into a file; trains nothing.

  optbench show schedule=cosine schedule.warmup_steps=5% epochs=30
  optbench show schedule=chain \\
    'schedule.parts=[{schedule: constant, for: 50%}, {schedule: cosine}]'
""",
    "draw": """\
usage: optbench draw RUN... [flags]

Draws runs on one test function (optbench train model=rosenbrock) from their
folders: paths.png, each run's path over the function's contours, in two
dimensions; gaps.png, the loss gap on logarithmic axes with fitted lines, a
power law (its slope) and a linear rate (the factor a step). RUN may be a
sweep's folder.

  --to FOLDER      default: the run's folder, or the one that holds the first
  --fit 10:1000    steps that the lines are fitted to; default: the last nine
                   tenths
  --animate        paths.gif too, in which the paths grow
""",
    "recommend": """\
usage: optbench recommend [--config-dir DIR] [overrides of train]

All recipes as a table: optimizer, learning rate, schedule, clipping and batch
for a kind of training, with the reasons. With a model, a data set, a task or a
workload: the one for it, each setting with its reason and source, and the
command. What the command line says goes over a recipe.

  optbench recommend model=lstm dataset=adding
  optbench recommend workload=fmnist_2c2d
""",
    "evaluate": """\
usage: optbench evaluate RUN [flags] [overrides]

Scores a checkpoint on the validation and the test set, with the weights that
the run was scored with (an EMA's, averaged ones); changes nothing. Overrides
may give another data set of the same shape, or say how it is scored: dataset,
data_root, eval.batch_size, device, threads, precision.

  --at best        or last, or a step; default: best, else last
  --json           as JSON, with all digits
  --config-dir DIR a folder of your own configs
  --trust          build what the config names, though somebody else began it

  optbench evaluate RUN --at last
  optbench evaluate RUN dataset=fashion_mnist
""",
    "export": """\
usage: optbench export RUN -o FILE [--at best|last|STEP] [--force]

Writes the weights of a checkpoint as a plain state dict, with the names of the
bare model: those that the run was scored with (an EMA's, averaged ones). FILE
is .pt, for torch.load, or .safetensors (pip install 'optbench[safetensors]').

  --at best        or last, or a step; default: best, else last
  --force          write over a file that is there

  optbench export RUN -o model.safetensors
""",
    "resume": """\
usage: optbench resume RUN [overrides] [--at best|last|STEP [--to FOLDER]]
                           [--trust]

Goes on with an interrupted run, bit for bit, from its newest whole checkpoint;
for a sweep's folder: skips what is finished, resumes and starts the rest.
RUN is a run folder or a sweep's. Overrides may
  lengthen it                           epochs=40 or steps=1000
  change the optimizer's numbers        optimizer.lr=1e-4
  the schedule, clipping, precision     schedule=cosine clip.norm=1
  and how it is watched, stopped, saved eval.every=2ep checkpoint=final
and hold from the checkpoint on.
{fixed}
A run that has finished goes on only if it is made longer; one that stopped
early or diverged also with another early_stopping.*, optimizer.*, schedule or
clip.*, and one that a callback stopped if its length is said again: steps=N.
With --at, a copy of the run as it was at that checkpoint goes on, in a new
folder (--to FOLDER, by default RUN-step-N); the run itself stays as it is.
A run that somebody else began, and that names classes of his own, wants
--trust: it runs his code.
The same as: optbench train resume=RUN
""",
    "train": """\
usage: optbench train [overrides] [flags]

Trains a model and leaves a run folder in runs/. Overrides are Hydra's:
key=value, group=choice.

groups (optbench list GROUP)
  {groups}

"""
    "{keys}\n" + _FLAGS,
}
"""By verb; `{groups}`, `{keys}` and `{fixed}` are what is declared elsewhere."""


def program(verbs: Mapping[str, str]) -> str:
    """`optbench --help`."""
    lines = "\n".join(line for verb, what in verbs.items() for line in _verb(verb, what))
    return (
        "optbench: experiments with optimization algorithms in deep learning\n\n"
        "usage: optbench VERB [overrides] [flags]\n\n"
        f"verbs\n{lines}\n\n"
        "optbench VERB --help says more. On several GPUs:\n"
        "  torchrun --nproc-per-node 2 -m optbench train ...\n"
        'Tab completion: eval "$(optbench -sc install=bash)"\n'
        "OPTBENCH_TRACEBACK=1 in the environment shows where an error comes from.\n"
        "--version prints the version.\n"
    )


def _verb(name: str, what: str) -> list[str]:
    """What a verb does, and its example on a line below where there is no room for both."""
    text, _, example = what.partition(": ")
    if len(what) + 12 <= WIDTH:
        return [f"  {name:<9} {what}"]
    return [f"  {name:<9} {text}:", f"{'':<14}{example}"]


def verb(name: str) -> str:
    """`optbench VERB --help`."""
    fixed = ", ".join(FIXED)
    fixed = f"Model, dataset, task, {fixed}, and the optimizer itself with groups, decay and "
    said = {
        "{groups}": textwrap.fill(" ".join(groups()), WIDTH - 2, subsequent_indent="  "),
        "{keys}": _keys(),
        "{fixed}": textwrap.fill(f"{fixed}implementation can't change.", WIDTH),
    }
    text = _VERBS[name]
    for mark, words in said.items():
        text = text.replace(mark, words)
    return text
