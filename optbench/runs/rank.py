"""A rank that `torchrun` begins: `python -m optbench`, which ends with its launcher."""

from __future__ import annotations

import os
import runpy

from optbench.runs.with_parent import end_with

if __name__ == "__main__":
    end_with(os.getppid())
    runpy.run_module("optbench", run_name="__main__", alter_sys=True)
