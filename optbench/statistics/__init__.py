"""What may be concluded of few runs: tests, intervals, verdicts. No torch; scipy for some."""

from optbench.statistics.aggregate import Aggregate, Band, iqm, iqm_bands, leave_one_out, mean_bands
from optbench.statistics.best_of import BestOf, expected_best
from optbench.statistics.compare import Comparison, compare_all
from optbench.statistics.holm import holm
from optbench.statistics.kaplan_meier import Survival, kaplan_meier
from optbench.statistics.paired import t_interval, wilcoxon_test
from optbench.statistics.power import least_pairs, pairs_needed
from optbench.statistics.profiles import Profiles, performance_profiles
from optbench.statistics.rates import Rate, failure_rate, rates_test
from optbench.statistics.score import is_score, places
from optbench.statistics.sign_flip import sign_flip_coverage, sign_flip_interval, sign_flip_test
from optbench.statistics.times import rank_test
from optbench.statistics.verdict import Verdict
from optbench.statistics.wording import Unit, lead_and_range, sentence, sentences, unit_of

__all__ = [
    "Aggregate",
    "Band",
    "BestOf",
    "Comparison",
    "Profiles",
    "Rate",
    "Survival",
    "Unit",
    "Verdict",
    "compare_all",
    "expected_best",
    "failure_rate",
    "holm",
    "iqm",
    "iqm_bands",
    "is_score",
    "kaplan_meier",
    "lead_and_range",
    "least_pairs",
    "leave_one_out",
    "mean_bands",
    "pairs_needed",
    "performance_profiles",
    "places",
    "rank_test",
    "rates_test",
    "sentence",
    "sentences",
    "sign_flip_coverage",
    "sign_flip_interval",
    "sign_flip_test",
    "t_interval",
    "unit_of",
    "wilcoxon_test",
]
