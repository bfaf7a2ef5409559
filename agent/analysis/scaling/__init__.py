"""Loss over size and data: laws fitted to runs, with intervals and what speaks against them.

In come the finished cells of a ledger's grids, out come laws with intervals, where each size
passes each yardstick, and sentences. It uses `ledger`, and of `search` the t and F distributions.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.analysis.scaling.answer import bracket as bracket
    from agent.analysis.scaling.answer import headline as headline
    from agent.analysis.scaling.answer import interval as interval
    from agent.analysis.scaling.answer import main_thresholds as main_thresholds
    from agent.analysis.scaling.answer import sentences as sentences
    from agent.analysis.scaling.checked import Checked as Checked
    from agent.analysis.scaling.checked import against_law as against_law
    from agent.analysis.scaling.forms import foretold as foretold
    from agent.analysis.scaling.forms import in_words as in_words
    from agent.analysis.scaling.growth import Grown as Grown
    from agent.analysis.scaling.observed import Observed as Observed
    from agent.analysis.scaling.observed import families_names as families_names
    from agent.analysis.scaling.rates import RateCheck as RateCheck
    from agent.analysis.scaling.rates import rate_checks as rate_checks
    from agent.analysis.scaling.rates import seed_sigma as seed_sigma
    from agent.analysis.scaling.rates import told_of_rates as told_of_rates
    from agent.analysis.scaling.rows import Ground as Ground
    from agent.analysis.scaling.rows import observed_of as observed_of
    from agent.analysis.scaling.rows import observed_run as observed_run
    from agent.analysis.scaling.study import Family as Family
    from agent.analysis.scaling.study import FittedForm as FittedForm
    from agent.analysis.scaling.study import Study as Study
    from agent.analysis.scaling.study import law_draws as law_draws
    from agent.analysis.scaling.study import study_of as study_of
    from agent.analysis.scaling.surface import Surface as Surface
    from agent.analysis.scaling.surface import law_surface as law_surface
    from agent.analysis.scaling.tables import bootstrap_csv as bootstrap_csv
    from agent.analysis.scaling.tables import results_csv as results_csv
    from agent.analysis.scaling.thresholds import Threshold as Threshold
    from agent.analysis.scaling.told import as_dict as as_dict
    from agent.analysis.scaling.told import law_amount as law_amount

__all__, __getattr__ = doors(__name__, {
    "answer": ("bracket", "headline", "interval",
               "main_thresholds", "sentences"),
    "checked": ("Checked", "against_law"),
    "forms": ("foretold", "in_words"),
    "growth": ("Grown",),
    "observed": ("Observed", "families_names"),
    "rates": ("RateCheck", "rate_checks", "seed_sigma", "told_of_rates"),
    "rows": ("Ground", "observed_of", "observed_run"),
    "study": ("Family", "FittedForm", "Study", "law_draws", "study_of"),
    "surface": ("Surface", "law_surface"),
    "tables": ("bootstrap_csv", "results_csv"),
    "thresholds": ("Threshold",),
    "told": ("as_dict", "law_amount"),
}, modules=("growth",))
