"""A harvest by hand: what would be grown of a run, and the same carried out.

`foresee_harvest` writes nothing. `harvest_once` is `agent harvest`, through the path of every run.
"""

from dataclasses import replace

from agent.home import Home
from agent.ledger import (
    Calibration,
    Corpus,
    Ledger,
    Run,
    current_study,
    find_run,
    study_of,
    what_now,
)
from agent.machine import guard
from agent.night import launch
from agent.night.choice import with_last_text
from agent.night.cores import settled
from agent.night.crop import Crop, crop_of, sow, waiting
from agent.night.launch import Desk
from agent.night.measuring import MEASURING, tell_measuring
from agent.night.needs import require_right
from agent.night.recover import recover
from agent.night.wish import Wish
from agent.search import MAX_PARAMS, Plan, footprint, foresight, harvest, study
from agent.trial import Progress, end_orphans, spawn_worker
from agent.words import Told
from engine.config import Config
from engine.errors import UserError
from strategies.base import Limits


def foresee_harvest(home: Home, key: str | None, wish: Wish, seconds: float,
                    progress: Progress) -> Crop:
    """What would be grown of a run, or else of what is confirmed; nothing is written."""
    with Ledger.open(home.ledger, read_only=True) as ledger:
        return _crop(ledger, _to_grow(ledger, key, wish.study), wish, seconds, progress)


def harvest_once(at: Desk, key: str | None, wish: Wish, seconds: float) -> tuple[Run, Crop | None]:
    """Grow a run, or go on with a harvest that was cut short; with its plan if it is new."""
    wish = settled(at, wish)
    begun = waiting(at.ledger)
    parent = None if key is None and begun else _to_grow(at.ledger, key, wish.study)
    if begun is not None and parent is not None and begun.parent_id != parent.id:
        raise UserError(f"{begun.label} was cut short and waits; `agent harvest --for 1h` goes on "
                        f"with it, `agent withdraw {begun.label}` takes it back")
    of = begun or parent
    assert of is not None  # one of them is there
    at_text = replace(wish, is_text_given=False, study=_study(at.ledger, begun, parent))
    known, remark = with_last_text(at.ledger, at_text)
    if remark:
        at.observer.say(remark)
    plan = Plan(wish.max_ram_mb, wish.n_replicas, wish.seed, at.clock.boot() + seconds, max_runs=1)
    night = at.night(plan, known.source)
    tokens, corpus = night.prepare(Config.from_dict(of.config).vocab_size), _corpus(at.ledger, of)
    if tokens.corpus.sha256 != corpus.text_sha256:
        raise UserError(f"{of.label} is of the text {corpus.name}, and no study says where that "
                        f"lies; `agent run --corpus {corpus.name} --runs 1` opens one")
    recover(night, end_orphans)
    crop = None
    if begun is None:
        assert parent is not None
        left_s = plan.deadline_s - at.clock.boot() if plan.deadline_s else seconds
        crop = _crop(at.ledger, parent, wish, left_s, at.progress)
        require_right(at.prove, crop.grown.config, wish)
        begun = sow(at.ledger, crop, at.clock.stamp())
        at.observer.say(Told(f"{begun.label}: {crop}", level="always"))
    else:
        at.observer.say(Told(f"{begun.label} goes on from its checkpoint", level="always"))
    night.only = begun.id
    launch._tick_through(at, night)
    return at.ledger.run(begun.id), crop


def _study(ledger: Ledger, begun: Run | None, parent: Run | None) -> int | None:
    """The study whose text it is."""
    if parent is None and begun is not None and begun.parent_id is not None:
        parent = ledger.run(begun.parent_id)
    return parent.calibration_id if parent else None


def _to_grow(ledger: Ledger, key: str | None, number: int | None) -> Run:
    """The run that was named, else what is confirmed of a study, its head or its baseline."""
    if key is not None:
        return find_run(ledger, key, number)
    found = current_study(ledger) if number is None else study_of(ledger, number)
    run = harvest.of_study(ledger, found) if found else None
    if run is None:
        raise UserError(f"{f'study {found.id} has' if found else 'there is'} no finished run yet "
                        f"that could be grown; {what_now(ledger)}")
    return run


def _crop(ledger: Ledger, run: Run, wish: Wish, seconds: float, progress: Progress) -> Crop:
    corpus = _corpus(ledger, run)
    speed = foresight.known(ledger, wish.n_replicas)
    if speed is None:
        speed = foresight.measured(Config.from_dict(run.config), wish.n_replicas, spawn_worker,
                                   lambda passed_s: tell_measuring(progress, passed_s))
        progress(MEASURING, 1, 1)
    known = speed

    def run_s(config: Config, tokens: int) -> float:
        return known.run_s(config, tokens, wish.n_replicas, corpus.n_tokens_search or 1)

    free_mb = guard.free_mb()
    room_mb = wish.max_ram_mb if free_mb is None else min(
        wish.max_ram_mb, free_mb - guard.reserve_mb(guard.read_swap()))
    limits = Limits(
        n_replicas=wish.n_replicas, max_params=MAX_PARAMS,
        max_mb=room_mb - footprint.beside_mb(ledger, corpus), max_vocab=corpus.vocab_size,
        shuffle_mb=footprint.shuffle_mb(corpus.n_stories_train, wish.n_replicas),
        min_steps=study.MIN_STEPS, run_s=run_s)
    return crop_of(ledger, run, _study_of(ledger, run), limits, seconds)


def _study_of(ledger: Ledger, run: Run) -> Calibration | None:
    return next((one for one in ledger.studies() if one.id == run.calibration_id), None)


def _corpus(ledger: Ledger, run: Run) -> Corpus:
    if run.corpus_id is None:
        raise UserError(f"{run.label} is a published row, of which nothing can be grown; name a "
                        "run of this home, which `agent runs` lists")
    return ledger.corpus(run.corpus_id)
