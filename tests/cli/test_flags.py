"""Flags that there are not: which was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from .program import call, left_in


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("train --mult", "--mult: no such flag; did you mean --multirun?"),
        ("train --conf x", "--conf: no such flag; did you mean --config-dir?"),
        ("train --c job", "--c: no such flag; did you mean --config-dir or --cfg?"),
        ("train steps=1 -sc", "-sc: before any verb, optbench -sc install=bash"),
        ("train --hlep", "did you mean --help?"),
        ("train --seed 1", "--seed: no such flag; did you mean seed=1?"),
        ("train --epoch=3", "--epoch: no such flag; did you mean epochs=3?"),
        ("train --att", "--att: no such flag here; optbench resume has --at"),
        ("train --cfg", "--cfg: it wants a value"),
        ("train --resolve", "--resolve: with --cfg job only"),
        ("train -p model", "--package: with --cfg job only"),
        ("train --cfg x", "--cfg: invalid choice: 'x' (choose from"),
        ("resume run --too x", "--too: no such flag; did you mean --to?"),
        ("resume run --a best", "--a: no such flag; did you mean --at?"),
        ("resume run --tru", "--tru: no such flag; did you mean --trust?"),
        ("resume run --sed", "--sed: no such flag; --help names them all"),
        ("resume run at=last", "at=last: did you mean --at last?"),
        ("train resume=run 'to=a b'", "to=a b: did you mean --to 'a b'?"),
        ("resume run trust=true", "trust=true: did you mean --trust?"),
        ("evaluate run json=true", "json=true: did you mean --json?"),
        ("evaluate run --jso", "--jso: no such flag; did you mean --json?"),
        ("evaluate run --zzz", "--zzz: no such flag; evaluate takes --at, "),
        ("export run --out x", "--out: no such flag; did you mean --output?"),
        ("export run --forc", "did you mean --force?"),
        ("find-lr --see 3", "--see: no such flag; did you mean --seeds?"),
        ("find-lr --num-seeds 2", "--num-seeds: no such flag; did you mean --seeds?"),
        ("train --gpus 4", "torchrun --nproc-per-node 4 -m optbench train"),
        ("train --output-dir x", "did you mean hydra.run.dir=x?"),
        ("find-lr --fro 3", "did you mean --from?"),
        ("show --pn x", "--pn: no such flag; did you mean --png?"),
        ("show --at best", "with resume only"),
        ("recommend --trust", "with resume only"),
        ("draw run --anim", "--anim: no such flag; did you mean --animate?"),
        ("draw run --zz", "--zz: no such flag; draw takes --to, --fit, --animate"),
        ("runs --csv=3", "--csv: it takes no value"),
        ("evaluate run --json=3", "--json: it takes no value"),
        ("draw run --animate=3", "--animate: it takes no value"),
        ("runs --cs", "--cs: no such flag; did you mean --csv?"),
        ("list --config x", "--config: no such flag; did you mean --config-dir?"),
        ("tune --trials 3", "--trials: no such flag; did you mean trials=3?"),
        ("tune spaces=lr", "spaces=lr: no such key; did you mean space=lr?"),
        ("tune adamw", "adamw: expected key=value; did you mean space=adamw?"),
        ("tune space=lr trials=null", "trials=null: not valid; expected a whole number"),
        ("tune space=[a,b]", "space=[a,b]: no such space"),
        ("tune space=lr metric=[a,b]", "metric=[a,b]: expected such as val/loss"),
        ("tune space=lr sampler=[a,b]", "sampler=[a,b]: not valid; expected a name"),
        ("tune search=[a,b]", "search=[a,b]: not valid; expected such as {"),
        ("pbt space=lr membrs=3", "membrs=3: no such key; did you mean members=3?"),
        ("pbt space=lr quantile=true", "quantile=true: not valid; expected a number above 0"),
        ("pbt --rounds 3", "--rounds: no such flag; did you mean rounds=3?"),
        (
            "compare n1 -o x.json",
            "-o: no such flag; what is printed goes into a file by --json > x",
        ),
        ("compare n1 -ox.csv", "what is printed goes into a file by --csv > x.csv"),
        ("compare n1 --output x.tex", "what is printed goes into a file by --latex > x.tex"),
        ("compare n1 -o x.html", "a page is made by optbench report -o x.html"),
        ("runs -o x.csv", "-o: no such flag; what is printed goes into a file by --csv > x.csv"),
        ("compare n1 -m loss", "-m: no such flag; did you mean --metric or --mode?"),
        ("compare n1 metric=val/loss", "metric=val/loss: did you mean --metric val/loss?"),
        ("evaluate run config_dir=own", "did you mean --config-dir own?"),
        ("report n1 -or.html", "-or.html: no such flag; did you mean -o r.html?"),
        ("report n1 r.html", "r.html: did you mean -o r.html?"),
        ("report n1 '> r.html'", "r.html: did you mean -o r.html?"),
        ("--verson", "--verson: no such flag; did you mean --version?"),
    ],
)
def test_a_flag_that_there_is_not(line: str, says: str) -> None:
    answer = call(line)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1 and says in answer.err
    assert left_in(Path.cwd()) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("task.los._target_=torch.nn.HuberLoss", "did you mean task.loss._target_?"),
        ("task.los.arguments=null", "did you mean task.loss.arguments?"),
        (
            "task.loss=huber",
            "not valid; did you mean task.loss._target_=torch.nn.HuberLoss?",
        ),
        ("optimzer.lrr=0.1", "did you mean optimizer.lr?"),
    ],
)
def test_a_key_whose_parents_are_misspelt(line: str, says: str) -> None:
    answer = call(f"train {line}")
    assert answer.code == 2 and says in answer.err
