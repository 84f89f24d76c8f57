"""A SLURM of one machine, made of shell scripts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optbench.executors import slurm, slurm_jobs

SCRIPTS = {
    "sbatch": """
echo "$@" >> $FAKE/asked
case "$*" in *--test-only*)
    [ -z "$REFUSES" ] && exit 0
    echo "sbatch: error: $REFUSES" >&2; exit 1;;
esac
number=$(( $(cat $FAKE/number 2>/dev/null || echo 99) + 1 ))
echo $number > $FAKE/number
cp "$1" $FAKE/$number.sh
[ -n "$HELD" ] && { touch $FAKE/$number.held; echo "Submitted batch job $number"; exit 0; }
SLURM_JOB_ID=$number setsid bash "$1" >/dev/null 2>&1 &
echo $! > $FAKE/$number.pid
echo "Submitted batch job $number"
""",
    "srun": """
while [ "${1#-}" != "$1" ]; do case "$1" in --unbuffered|--*=*) shift;; *) shift 2;; esac; done
echo $$ > $FAKE/$SLURM_JOB_ID.step
exec "$@" > $FAKE/$SLURM_JOB_ID.out 2>&1
""",
    "squeue": """
for held in $FAKE/*.held; do [ -e $held ] && basename $held .held; done
for file in $FAKE/*.pid; do
    [ -e $file ] && kill -0 $(cat $file) 2>/dev/null && basename $file .pid
done
exit 0
""",
    "scancel": """
echo "$@" >> $FAKE/cancelled
for each in "$@"; do
    case "$each" in
        --signal=*) how=${each#--signal=};;
        --state=*) pending=1;;
        --*) ;;
        *) if [ -n "$pending" ]; then rm -f $FAKE/$each.held
           elif [ -n "$how" ]; then kill -$how $(cat $FAKE/$each.step 2>/dev/null) 2>/dev/null
           else rm -f $FAKE/$each.held; kill -KILL -- -$(cat $FAKE/$each.pid) 2>/dev/null; fi;;
    esac
done
exit 0
""",
    "sacct": "echo NODE_FAIL\n",
}
"""A SLURM of one machine: a job is a process group, and a file for what is known of it."""


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put it first on the path; return its folder."""
    folder = tmp_path / "fake"
    (folder / "bin").mkdir(parents=True)
    for name, text in SCRIPTS.items():
        (folder / "bin" / name).write_text(f"#!/bin/bash\n{text}", encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setattr(slurm_jobs, "ASKS_SECONDS", 0.2)
    monkeypatch.setattr(slurm, "LOOKS_SECONDS", 0.1)
    monkeypatch.setattr(slurm, "LAG_SECONDS", {"slurm": 0.5, "local": 1.0})
    return folder
