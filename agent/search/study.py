"""A study: one text, one baseline, one token budget, so that its runs may be compared.

The budget is fixed once, from the measured speed of the device, and kept: a phone that runs hot
gives the same result later, not a worse one.
"""

import itertools
import math
import subprocess
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from agent.home import Home, RunFolder
from agent.ledger import (
    Calibration,
    Corpus,
    Ledger,
    NewCalibration,
    NewCorpus,
    NewRun,
    Queries,
    Run,
    class_of,
    is_pair,
    kernels_of,
    this_home,
    timed_on,
)
from agent.machine import Clock, machine
from agent.machine import kernels as own_kernels
from agent.search import feasible, footprint, verdict
from agent.trial import (
    CONFIRMING,
    Job,
    Measuring,
    Spawn,
    end_orphan,
    last_words,
    living_worker,
    read_events,
)
from engine.config import Config
from engine.errors import UserError
from engine.files import storage_error
from engine.text import TokenSet

MOVED = "device"  # kind of the event that a study goes on on another device
Look = Callable[[float], None]  # told at times how many seconds something has taken

MEASURE_TRIES = 4
LOOK_S = 0.25  # between two looks at what is measured
MEASURE_S = 4.0  # of training steps; long enough for the clock speed to settle
MIN_STEPS = 20  # fewer tell nothing of a configuration
MIN_RUNS = 16  # in a night: five baselines, some ideas, and three pairs to confirm them
MIN_ROUNDS = 10  # of several at once: baselines, ideas on ideas and pairs wait for each other
RUN_S = 600.0  # a run where nothing is said of the night
HEADROOM = 0.9  # of the night that is planned for runs


@dataclass(frozen=True, slots=True)
class Speed:
    """What this device does with the baseline."""

    step_s: float  # seconds of one optimizer step
    eval_token_s: float  # seconds to score one token
    tokens_per_step: int
    n_replicas: int = 1  # processes that reached it
    more_mb: float | None = None  # held beyond what the configuration and its text tell
    device: str | None = None  # that reached it; None: this machine

    @property
    def tok_per_s(self) -> float:
        return self.tokens_per_step / self.step_s

    def run_s(self, config: Config, budget_tokens: int, n_valid: int) -> float:
        """Seconds of one run of the measured configuration, with its evaluations."""
        return feasible.run_s(config, budget_tokens, n_valid, self.step_s, self.eval_token_s)


def measure(home: Home, tokens: TokenSet, config: Config, n_replicas: int, spawn: Spawn,
            timeout_s: float = 300.0, look: Look = lambda seconds: None,
            kernels: str | None = None) -> Speed:
    """Train for some seconds in a worker, as every run will, and report its speed.

    `look` is told every LOOK_S how long it has taken; what it raises ends the measurement.
    kernels  that compute it; without a word those that are usual here

    Tried again where it fails: the system may have killed it, or the worker of a daemon that was
    killed here a moment ago has not left yet.
    """
    folder, status = home.run("measure"), 0
    job = measuring_job(tokens, config, n_replicas, kernels)
    for _ in range(MEASURE_TRIES):
        status = _measure_once(folder, job, spawn, timeout_s, look)
        found = [line for line in read_events(folder, 0)[0] if line["kind"] == "measured"]
        if found:
            peak_mb, text_mb = found[0].get("peak_mb"), 2e-6 * tokens.n_tokens.get("train", 0)
            train = tokens.corpus.splits.get("train")  # made-up tokens have no stories
            text_mb += footprint.stories_mb(
                config, train.n_stories if train else None, n_replicas)
            return Speed(found[0]["step_s"], found[0]["eval_token_s"], config.tokens_per_step,
                         n_replicas, None if peak_mb is None else
                         peak_mb - config.predicted_mb(n_replicas) - text_mb)
    raise UserError("the speed of this device could not be measured: "
                    f"{last_words(folder, status)}")


def measuring_job(tokens: TokenSet, config: Config, n_replicas: int,
                  kernels: str | None) -> Job:
    """What a worker is asked that only measures."""
    return Job(
        config=config, seed=0, budget_tokens=10**9, train_tokens=str(tokens.paths["train"]),
        valid_tokens=str(tokens.paths["search"]), n_valid_bytes=tokens.n_bytes["search"],
        tokenizer=str(tokens.tokenizer_path), measure_s=MEASURE_S, orphan_s=0.0,
        n_replicas=n_replicas, kernels=kernels or own_kernels.usual())


def _measure_once(folder: RunFolder, job: Job, spawn: Spawn, timeout_s: float, look: Look) -> int:
    """Exit status of a worker that only measures; what it found is in its events."""
    prepare_measuring(folder, job)
    try:
        process = spawn(folder)
    except OSError as error:
        raise UserError(f"cannot start a worker to measure this device: {error}") from error
    assert isinstance(process, Measuring)  # a child here, or a worker of a cluster
    start_s = time.monotonic()
    try:
        while (passed_s := time.monotonic() - start_s) < timeout_s:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_S)
            look(passed_s)
        raise UserError(f"three steps of {job.config.describe()} took over {timeout_s:.0f} s; this "
                        "device needs a smaller model, such as --set n_embd=64")
    except BaseException:
        process.kill()  # it has nothing to save
        process.wait()
        raise


def prepare_measuring(folder: RunFolder, job: Job) -> None:
    """Leave the job of a worker that only measures; StorageError where nothing can be written."""
    orphan = living_worker(folder)
    if orphan:
        end_orphan(orphan.pid, folder.root)
    try:
        folder.root.mkdir(parents=True, exist_ok=True)
        for path in (folder.events, folder.output, folder.checkpoint):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, folder.root, 0) from error
    job.write(folder.job)


def plan_budget(speed: Speed, config: Config, n_valid: int, run_s: float) -> int:
    """The largest token budget, of two significant digits, whose run takes run_s seconds.

    Never under MIN_STEPS steps, however short the time.
    """
    low, high = MIN_STEPS, max(MIN_STEPS, math.ceil(run_s / speed.step_s))
    while low < high:
        middle = (low + high + 1) // 2
        fits = speed.run_s(config, middle * config.tokens_per_step, n_valid) <= run_s
        low, high = (middle, high) if fits else (low, middle - 1)
    tokens = low * config.tokens_per_step
    unit: int = 10 ** (len(str(tokens)) - 2)
    return max(tokens // unit * unit, MIN_STEPS * config.tokens_per_step)


def planned_run_s(night_s: float | None, n_trials: int = 1) -> float:
    """How long a run of a night may take: a sixteenth of it, ten minutes at most; with several at
    once so many times as long, but a tenth.
    """
    if night_s is None:
        return RUN_S
    n_rounds = max(MIN_RUNS / n_trials, MIN_ROUNDS)
    return min(RUN_S, HEADROOM * night_s / n_rounds)


def register_corpus(ledger: Ledger, tokens: TokenSet, now: str) -> int:
    """The ledger's id of a text cut by a tokenizer, with its yardsticks."""
    return ledger.add_corpus(corpus_row(tokens, now))


def corpus_row(tokens: TokenSet, now: str) -> NewCorpus:
    """What the ledger keeps of a text cut by a tokenizer."""
    corpus, yards = tokens.corpus, tokens.yardsticks
    return NewCorpus(
        name=corpus.name, source=corpus.source, text_sha256=corpus.sha256,
        vocab_size=tokens.vocab_size, tokenizer_sha256=tokens.tokenizer_sha256,
        search_sha256=corpus.splits["search"].sha256,
        confirm_sha256=corpus.splits["confirm"].sha256,
        test_sha256=corpus.splits["test"].sha256, created_at=now,
        n_stories_train=corpus.splits["train"].n_stories,
        n_tokens_train=tokens.n_tokens["train"], n_tokens_search=tokens.n_tokens["search"],
        n_tokens_confirm=tokens.n_tokens["confirm"], n_tokens_test=tokens.n_tokens["test"],
        n_bytes_search=tokens.n_bytes["search"], uniform_nats=yards.uniform,
        unigram_nats=yards.unigram, bigram_nats=yards.bigram, trigram_nats=yards.trigram,
        unigram_bpb=tokens.bpb(yards.unigram), bigram_bpb=tokens.bpb(yards.bigram),
        trigram_bpb=tokens.bpb(yards.trigram))


def open_study(ledger: Ledger, clock: Clock, tokens: TokenSet, config: Config, seed: int,
               speed: Speed, budget_tokens: int) -> Calibration:
    """A new study of this text, baseline and budget, with what was measured of the device."""
    now, kernels = clock.stamp(), own_kernels.usual()
    footprint.note(ledger, speed.more_mb, now)
    return ledger.calibration(ledger.add_calibration(NewCalibration(
        created_at=now, corpus_id=register_corpus(ledger, tokens, now),
        text_sha256=tokens.corpus.sha256, budget_tokens=budget_tokens, config=config.to_dict(),
        seeds=baseline_seeds(ledger, tokens.corpus.sha256, config, budget_tokens, seed, kernels),
        n=0, kernels=kernels,
        run_s=speed.run_s(config, budget_tokens, tokens.n_tokens["search"]),
        tok_per_s=speed.tok_per_s, flops_per_s=speed.tok_per_s * config.flops_per_token,
        device=speed.device or machine.device())))


def move_here(ledger: Ledger, study: Calibration, tokens: TokenSet, speed: Speed,
              now: str) -> Calibration:
    """The study as it goes on on another device: its budget and noise, this device's speed."""
    config = Config.from_dict(study.config)
    footprint.note(ledger, speed.more_mb, now)
    ledger.update_calibration(
        study.id, run_s=speed.run_s(config, study.budget_tokens, tokens.n_tokens["search"]),
        tok_per_s=speed.tok_per_s, flops_per_s=speed.tok_per_s * config.flops_per_token,
        device=speed.device or machine.device())
    return ledger.calibration(study.id)


def planned_for_s(ledger: Queries, study: Calibration) -> float | None:
    """How long a run was planned to take: on the device that the study was opened on."""
    moves = (event.data or {} for event in reversed(ledger.events_of(MOVED)))
    return next((move["run_s"] for move in moves if move.get("study") == study.id), study.run_s)


def foresee(ledger: Ledger, study: Calibration, n_replicas: int,
            without: Collection[int] = ()) -> Callable[[Config, int], float] | None:
    """Seconds of a run of a configuration and budget, learnt from what the study's device has run:
    this machine, or the class of a cluster's machines that the study names.

    without  ids of runs that count for nothing yet: several at once may end in any order
    None where neither a run nor the study's own measurement tells anything of it.
    """
    corpora = {corpus.id: corpus for corpus in ledger.corpora()}
    kind = class_of(study.device)
    timed = timed_on(ledger, kind, feasible.MAX_TIMINGS) if kind else ledger.timed_runs(
        machine.device(), machine.cores(), feasible.MAX_TIMINGS)
    runs = sorted((run for run in timed if run.corpus_id in corpora and run.id not in without),
                  key=lambda run: run.id)
    timings = timings_of(runs, corpora)
    n_valid = corpora[study.corpus_id].n_tokens_search
    # A ledger moved to another machine: the other's measurement counts until this one has a run.
    if kind or study.device == machine.device() or not runs:
        timings.insert(0, feasible.timing_of_study(study, n_replicas, n_valid))
    known = [timing for timing in timings if timing]
    model = feasible.learn(known)
    n_valid_of = {corpus.vocab_size: corpus.n_tokens_search for corpus in corpora.values()
                  if corpus.text_sha256 == study.text_sha256}

    def run_s(config: Config, budget_tokens: int) -> float:
        n_tokens = n_valid_of.get(config.vocab_size) or n_valid or 1
        return model.run_s(config, budget_tokens, n_replicas, n_tokens)

    return run_s if known else None


def timings_of(runs: Sequence[Run],
               corpora: Mapping[int, Corpus]) -> list[feasible.Timing | None]:
    """How fast each run was; None where it does not tell."""
    return [feasible.timing_of(run, corpora[run.corpus_id or 0].n_tokens_search,
                               _n_scored_once(run, corpora[run.corpus_id or 0])) for run in runs]


def _n_scored_once(run: Run, corpus: Corpus) -> int:
    """Tokens of the shards that only the arms of a comparison are scored on."""
    if run.confirm_bpb is None:
        return 0
    return (corpus.n_tokens_confirm or 0) + (corpus.n_tokens_test or 0)


def baseline_seeds(ledger: Queries, text_sha256: str, config: Config, budget_tokens: int,
                   seed: int, kernels: str | None = None) -> list[int]:
    """The seeds of a baseline: from the one given on, without those whose run tells too little.

    A run of an older version, or one by hand, has no score on the shard that confirms, or will
    have none, and nothing runs twice.
    """
    this = this_home(ledger)
    silent = {run.seed for run in ledger.runs_on(text_sha256, budget_tokens)
              if run.home in (None, this) and run.config_hash == config.hash
              and is_pair(run, kernels)
              and run.confirm_bpb is None
              and (run.state in ("finished", "pruned")
                   or run.state in ("queued", "running") and run.strategy not in CONFIRMING)}
    fresh = (number for number in itertools.count(seed) if number not in silent)
    return list(itertools.islice(fresh, verdict.N_BASELINE_SEEDS))


def unused_seed(ledger: Queries, text_sha256: str, config: Config, budget_tokens: int,
                seed: int) -> int:
    """The first seed from which on no run of a starting point is shared with another study, whose
    devices round otherwise.
    """
    used = [run.seed or 0 for run in ledger.runs_on(text_sha256, budget_tokens, config.hash)]
    return max([seed, *(one + 1 for one in used)])


def queue_baselines(ledger: Ledger, study: Calibration, now: str, n_replicas: int) -> None:
    """Queue the seeds of a study's baseline that have no run yet, or none that came to an end.

    A killed or failed baseline is so taken up by the next night; nothing runs twice.
    """
    seeds, config = study.seeds or [], Config.from_dict(study.config)
    done = {run.seed for run in ledger.baselines(study)
            if run.state not in ("killed", "failed", "lost")}
    for number, seed in enumerate(seeds, 1):
        if seed not in done:
            ledger.queue(new_run(
                ledger, config, seed, study.budget_tokens, study.corpus_id, now,
                Origin("baseline", baseline_reason(number, len(seeds)), calibration_id=study.id),
                n_replicas))


def baseline_reason(number: int, n: int) -> str:
    return f"seed {number} of {n}: their spread is the noise"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who proposed a run and why, and what it belongs to."""

    strategy: str  # baseline, confirm, ablate, hand, grid or a mutator
    reason: str
    calibration_id: int | None = None
    parent_id: int | None = None
    grid_id: int | None = None


def new_run(ledger: Ledger, config: Config, seed: int, budget_tokens: int, corpus_id: int,
            now: str, origin: Origin, n_replicas: int = 1) -> NewRun:
    """A run to queue, with what is known of it and of this machine.

    A run of a study is computed by the study's kernels, another by those that are usual here.
    """
    corpus = ledger.corpus(corpus_id)
    return NewRun(
        uid=uuid.uuid4().hex, created_at=now, config=config, seed=seed,
        budget_tokens=budget_tokens, corpus_id=corpus_id,
        predicted_mb=(config.predicted_mb(n_replicas) + footprint.beside_mb(ledger, corpus)
                      + footprint.stories_mb(config, corpus.n_stories_train, n_replicas)),
        replicas=n_replicas, kernels=own_kernels.usual() if origin.calibration_id is None
        else kernels_of(ledger.calibration(origin.calibration_id)),
        device=machine.device(), cores=machine.cores(), code_version=machine.code_version(),
        strategy=origin.strategy, reason=origin.reason, calibration_id=origin.calibration_id,
        parent_id=origin.parent_id, grid_id=origin.grid_id)


def note_noise(ledger: Ledger, study: Calibration) -> Calibration:
    """The study with the noise of all its finished baselines taken in."""
    done = [run for run in ledger.baselines(study) if run.state == "finished"]
    bpb = [run.val_bpb for run in done if run.val_bpb is not None]
    nats = [run.val_loss for run in done if run.val_loss is not None]
    sigma_bpb, sigma_nats = verdict.seed_noise(bpb), verdict.seed_noise(nats)
    if bpb:
        ledger.update_calibration(study.id, n=len(bpb), mean_bpb=sum(bpb) / len(bpb))
    if sigma_bpb is not None and sigma_nats is not None:
        ledger.update_calibration(study.id, sigma_bpb=sigma_bpb, sigma_nats=sigma_nats)
    return ledger.calibration(study.id)

