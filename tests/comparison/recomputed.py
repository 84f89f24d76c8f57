"""Numbers of a comparison, recomputed by scipy alone: `optbench compare --json | python THIS`."""

import json
import sys

import numpy as np
from scipy import stats


def check(name, told, own):
    assert np.allclose(np.array(told, float), own, rtol=1e-9, atol=1e-9, equal_nan=True), name
    print("same", name)


said = json.load(sys.stdin)
times = {}
for work in said["workloads"]:
    by_arm = {arm["name"]: {r["seed"]: r["score"] for r in arm["runs"] if type(r["score"]) is float}
              for arm in work["arms"]}  # fmt: skip
    for arm in work["arms"]:
        own = [*by_arm[arm["name"]].values()]
        check("mean", arm["mean"], np.mean(own) if own else np.nan)
    raw, sign = [], -1 if work["mode"] == "min" else 1
    for v in work["verdicts"]:
        one, other = (by_arm[v[which]] for which in ("first", "second"))
        pairs = np.array([sign * (one[seed] - other[seed]) for seed in one.keys() & other.keys()])
        test = stats.permutation_test((pairs,), lambda x: np.round(np.mean(x), 12),  # ties are ties
                                      permutation_type="samples", n_resamples=np.inf,
                                      vectorized=False)  # fmt: skip
        sets = (np.arange(1, 2 ** len(pairs))[:, None] >> np.arange(len(pairs))) & 1
        means, k = np.sort(sets @ pairs / sets.sum(1)), int(0.05 * 2 ** (len(pairs) - 1))
        check("pair", [v[key] for key in ("difference", "low", "high", "p")],
              [pairs.mean(), means[k - 1], means[-k], test.pvalue])  # fmt: skip
        raw.append(test.pvalue)
    steps = np.maximum.accumulate(np.sort(raw) * np.arange(len(raw), 0, -1))
    check("Holm", np.sort([v["p_adjusted"] for v in work["verdicts"]]), np.minimum(steps, 1))
    for arm in (work["times"] or {"arms": []})["arms"]:
        there, lost = ([r["until"] for r in arm["runs"] if (r["time"] is None) == missed]
                       for missed in (False, True))  # fmt: skip
        curve = stats.ecdf(stats.CensoredData(uncensored=there, right=lost)).sf
        check("Kaplan-Meier", arm["share"], curve.probabilities)
        half = [*curve.quantiles[curve.probabilities <= 0.5], np.inf][0]
        times.setdefault(arm["name"], []).append(half)
told = (said["across"] or {}).get("profiles")
for name, curve in told["curves"].items() if told else ():
    fastest = np.min([times[each] for each in told["curves"]], axis=0)
    solved = np.array(times[name]) / fastest <= np.array(told["taus"])[:, None]
    check("profile", curve, np.mean(solved, axis=1))
