"""What a night or a run was asked to be."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.machine import Limits, machine
from agent.night.herald import Hooks
from agent.trial import Source

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a night or a run was asked to be; None where nothing was said."""

    source: Source
    max_ram_mb: float
    settings: Sequence[str] = ()  # key=value
    seed: int = 0
    night_s: float | None = None
    max_runs: int | None = None
    harvest_s: float | None = None  # of the night's end; None: a quarter of one that is long
    run_s: float | None = None
    run_tokens: int | None = None
    steps: int | None = None
    eval_every: int | None = None
    n_trials: int | None = None  # runs at once; None: what was measured as best, else one
    cluster: str | None = None  # where they are computed, as it was typed; None: here
    n_replicas: int = field(default_factory=machine.n_cores)
    limits: Limits = DEFAULT_LIMITS  # on battery, heat, disk and hours
    with_prior: bool = True  # whether ideas begin from what other studies found
    is_portable: bool = False  # whether ideas are only such as other programs' formats can say
    study: int | None = None  # the number of the one to go on with
    hooks: Hooks | None = None  # who is told what became of it
    is_text_given: bool = True  # False: the text of the last study, where there is one
    is_corpus_given: bool = True  # False: --stories or --valid with the last study's corpus
    is_seed_given: bool = True  # False: that study's seeds
    are_cores_given: bool = False  # else a machine of unequal cores keeps to those that pay
    is_replicas_given: bool = False  # else the processors are shared out among the runs at once
