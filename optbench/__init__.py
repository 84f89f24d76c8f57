"""optbench: an experiment runner for optimization algorithms in deep learning.

What stands in `__all__` is for programs; it is loaded when it is first asked for, and importing
optbench loads neither torch nor Hydra. docs/python.md has an example of each.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import optbench.benchmark as _other  # before a function takes the name, so that it keeps it
import optbench.check as _checks
import optbench.compose as _package
import optbench.doctor as _doctor
import optbench.probe as _probes
import optbench.report as _pages
from optbench.version import __version__

if TYPE_CHECKING:
    from optbench.api import compose, resume, resume_sweep, sweep, train, tune
    from optbench.api_benchmark import benchmark
    from optbench.api_claims import claim
    from optbench.api_diagnosis import check, doctor, find_lr, probe
    from optbench.api_population import pbt, resume_pbt
    from optbench.benchmark.result import Benchmark
    from optbench.check.result import Checked
    from optbench.claims.result import Claimed
    from optbench.comparison.compare import compare, compare_workloads
    from optbench.comparison.result import Compared, Comparisons
    from optbench.config.run_spec import RunSpec
    from optbench.doctor.diagnosis import Diagnosis
    from optbench.errors import UserError
    from optbench.population.report import Ancestor
    from optbench.population.result import Population
    from optbench.probe.result import Probed
    from optbench.report.write import report
    from optbench.runs.find import find_runs, open_run
    from optbench.runs.read import Checkpoints, Run
    from optbench.runs.result import RunResult
    from optbench.search.result import RangeTest
    from optbench.symptoms.base import Rule, Symptom
    from optbench.training.callback import Callback
    from optbench.tuning.study import Study, Tried

__all__ = [
    "Ancestor",
    "Benchmark",
    "Callback",
    "Checked",
    "Checkpoints",
    "Claimed",
    "Compared",
    "Comparisons",
    "Diagnosis",
    "Population",
    "Probed",
    "RangeTest",
    "Rule",
    "Run",
    "RunResult",
    "RunSpec",
    "Study",
    "Symptom",
    "Tried",
    "UserError",
    "__version__",
    "benchmark",
    "check",
    "claim",
    "compare",
    "compare_workloads",
    "compose",
    "doctor",
    "find_lr",
    "find_runs",
    "open_run",
    "pbt",
    "probe",
    "report",
    "resume",
    "resume_pbt",
    "resume_sweep",
    "sweep",
    "train",
    "tune",
]

_HOMES = {
    "Ancestor": "population.report",
    "Benchmark": "benchmark.result",
    "Callback": "training.callback",
    "Checked": "check.result",
    "Checkpoints": "runs.read",
    "Claimed": "claims.result",
    "Compared": "comparison.result",
    "Comparisons": "comparison.result",
    "Diagnosis": "doctor.diagnosis",
    "Population": "population.result",
    "Probed": "probe.result",
    "RangeTest": "search.result",
    "Rule": "symptoms.base",
    "Run": "runs.read",
    "RunResult": "runs.result",
    "RunSpec": "config.run_spec",
    "Study": "tuning.study",
    "Symptom": "symptoms.base",
    "Tried": "tuning.study",
    "UserError": "errors",
    "compare": "comparison.compare",
    "compare_workloads": "comparison.compare",
    "benchmark": "api_benchmark",
    "check": "api_diagnosis",
    "claim": "api_claims",
    "compose": "api",
    "doctor": "api_diagnosis",
    "find_lr": "api_diagnosis",
    "find_runs": "runs.find",
    "open_run": "runs.find",
    "pbt": "api_population",
    "probe": "api_diagnosis",
    "report": "report.write",
    "resume": "api",
    "resume_pbt": "api_population",
    "resume_sweep": "api",
    "sweep": "api",
    "train": "api",
    "tune": "api",
}

del _checks, _doctor, _package, _other, _pages, _probes
globals().pop("check", None)
globals().pop("compose", None)
globals().pop("report", None)
globals().pop("benchmark", None)
globals().pop("doctor", None)
globals().pop("probe", None)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'optbench' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"optbench.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
