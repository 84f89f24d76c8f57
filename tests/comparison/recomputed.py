"""Numbers of a comparison, recomputed by scipy alone: `optbench compare --json | python THIS`."""

import json
import sys

import numpy as np
from scipy import stats


def check(name, told, own):
    assert np.allclose(np.array(told, float), own, rtol=1e-9, atol=1e-9), (name, told, own)
    print("same", name)


said = json.load(sys.stdin)
times = {}
for work in said["workloads"]:
    by_arm = {arm["name"]: {r["seed"]: r["score"] for r in arm["runs"]} for arm in work["arms"]}
    common = set.intersection(*map(set, by_arm.values()))
    for arm in work["arms"]:
        check("mean", arm["mean"], np.mean([by_arm[arm["name"]][seed] for seed in common]))
    raw, sign = [], -1 if work["mode"] == "min" else 1
    for v in work["verdicts"]:
        one, other = (by_arm[v[which]] for which in ("first", "second"))
        pairs = np.array([sign * (one[seed] - other[seed]) for seed in common])
        test = stats.permutation_test((np.rint(pairs * 1e12),), np.mean, n_resamples=np.inf,
                                      permutation_type="samples", vectorized=False)  # fmt: skip
        sets = (np.arange(1, 2 ** len(pairs))[:, None] >> np.arange(len(pairs))) & 1
        means, k = np.sort(sets @ pairs / sets.sum(1)), int(0.05 * 2 ** (len(pairs) - 1))
        check("pair", [v[key] for key in ("difference", "low", "high", "p")],
              [pairs.mean(), means[k - 1], means[-k], test.pvalue])  # fmt: skip
        raw.append(test.pvalue)
    steps = np.maximum.accumulate(np.sort(raw) * np.arange(len(raw), 0, -1))
    check("Holm", np.sort([v["p_adjusted"] for v in work["verdicts"]]), np.minimum(steps, 1))
    for arm in work["times"]["arms"]:
        there, lost = ([r["until"] for r in arm["runs"] if (r["time"] is None) == missed]
                       for missed in (False, True))  # fmt: skip
        curve = stats.ecdf(stats.CensoredData(uncensored=there, right=lost)).sf
        check("Kaplan-Meier", arm["share"], curve.probabilities)
        half = [*curve.quantiles[curve.probabilities <= 0.5], np.inf][0]
        times.setdefault(arm["name"], []).append(half)
told, fastest = said["across"]["profiles"], np.min([*times.values()], axis=0)
for name, own in times.items():
    solved = np.mean(np.array(own) / fastest <= np.array(told["taus"])[:, None], axis=1)
    check("profile", told["curves"][name], solved)
