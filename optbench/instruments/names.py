"""The instruments by name; each is imported when it is asked for."""

from __future__ import annotations

import ast
from pathlib import Path

CLASSES: dict[str, str] = {
    "hessian": "optbench.instruments.hessian.Hessian",
    "ggn": "optbench.instruments.hessian.GaussNewton",
    "spectrum": "optbench.instruments.spectrum.Spectrum",
    "trace": "optbench.instruments.traces.HessianTrace",
    "stability": "optbench.instruments.stability.Stability",
    "saddle": "optbench.instruments.saddle.Saddle",
    "sharpness": "optbench.instruments.sharpness.Sharpness",
    "landscape": "optbench.instruments.landscape.Landscape",
    "plane": "optbench.instruments.plane.Plane",
    "path": "optbench.instruments.path.Path",
    "updates": "optbench.instruments.next_updates.Updates",
    "interpolation": "optbench.instruments.interpolation.Interpolation",
    "effective_lr": "optbench.instruments.effective_lr.EffectiveLr",
    "gradient_variance": "optbench.instruments.gradient_variance.GradientVariance",
    "noise_scale": "optbench.instruments.noise_scale.NoiseScale",
    "alpha": "optbench.instruments.cockpit.alpha.Alpha",
    "cabs": "optbench.instruments.cockpit.cabs.CABS",
    "early_stopping": "optbench.instruments.cockpit.early_stopping.EarlyStopping",
    "norm_test": "optbench.instruments.cockpit.norm_test.NormTest",
    "inner_test": "optbench.instruments.cockpit.inner_test.InnerTest",
    "ortho_test": "optbench.instruments.cockpit.ortho_test.OrthoTest",
    "mean_gsnr": "optbench.instruments.cockpit.mean_gsnr.MeanGSNR",
    "tic_diag": "optbench.instruments.cockpit.tic.TICDiag",
    "tic_trace": "optbench.instruments.cockpit.tic.TICTrace",
    "grad_hist_1d": "optbench.instruments.cockpit.grad_hist.GradHist1d",
    "grad_hist_2d": "optbench.instruments.cockpit.grad_hist.GradHist2d",
}
"""`optbench.instruments.MODULE.CLASS` by name, in the order in which they are listed."""

SETS: dict[str, tuple[str, ...]] = {
    "curvature": ("hessian", "ggn", "spectrum", "trace", "stability", "saddle"),
    "noise": ("gradient_variance", "noise_scale"),
    "economy": ("alpha", "grad_hist_1d", "inner_test", "norm_test", "ortho_test"),
    "business": (
        *("alpha", "grad_hist_1d", "inner_test", "norm_test", "ortho_test"),
        *("tic_diag", "trace"),
    ),
    "full": (
        *("alpha", "grad_hist_1d", "inner_test", "norm_test", "ortho_test"),
        *("tic_diag", "trace", "hessian", "grad_hist_2d"),
    ),
}
"""Names of several instruments together, such as `economy`."""


def what_of(name: str) -> str:
    """Return what an instrument of `CLASSES` measures, its class' `what`, without importing it."""
    module, _, called = CLASSES[name].rpartition(".")
    path = Path(__file__).parents[2].joinpath(*module.split(".")).with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == called:
            return next(filter(None, map(_what, node.body)), "")
    return ""


def _what(node: ast.stmt) -> str:
    """Return the text that a statement of a class calls `what`; empty of another one."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    if not any(isinstance(each, ast.Name) and each.id == "what" for each in targets):
        return ""
    return str(ast.literal_eval(node.value))  # type: ignore[attr-defined]
