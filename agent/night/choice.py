"""Which study a night goes on with: the last one's text and start, unless others are asked for.

What was not said is as in the last study. What was said and differs opens a new one, which then
tells what differs: another text or start is never taken in silence.
"""

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from agent import words
from agent.ledger import (
    AT_HOME,
    GENERATED,
    Calibration,
    Corpus,
    Queries,
    by_use,
    class_of_study,
    current_study,
    is_of_home,
    kernels_of,
    night_of,
    study_of,
)
from agent.machine import kernels, machine
from agent.night.wish import Wish
from agent.search import study as studies
from agent.trial import Source
from engine.config import Config
from engine.errors import UserError
from strategies.base import HELD, TITLES, changed_fields, shown

# With --run-for a study goes on whose runs take between these times as long.
SHORTER, LONGER = 0.5, 1.4
CLASS = "class of device"
HERE = "this machine"  # which cannot be left out as an option can


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which a study is not what was asked for."""

    name: str  # of what differs: a text, a seed, a field
    told: str  # the same with both values
    option: str  # which asked for it


class Classes(Protocol):
    """The classes of devices that compute this night's runs: see agent/ledger/devices.py."""

    @property
    def own(self) -> str:
        """That of this machine; asked where a study was begun on a named one, or goes to one."""

    @property
    def there(self) -> Collection[str] | None:
        """Those of a cluster's machines now; None: this machine computes by itself."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The study to go on with, or why none is what was asked for."""

    study: Calibration | None  # None: a new one
    base: Config  # its start
    last: Calibration | None  # the study last worked on before this night
    differences: tuple[Difference, ...]  # of what was asked for from the last one

    @property
    def is_on_other_class(self) -> bool:
        """Whether the devices that compute now round otherwise than those of the last study."""
        return any(one.name == CLASS for one in self.differences)


# --- the text --------------------------------------------------------------------------------


def with_last_text(ledger: Queries, wish: Wish) -> tuple[Wish, str | None]:
    """The wish with the text and the seed of the study that goes on, where none were given.

    Also a remark where the file that the text came from is not what it was.
    """
    last = current_study(ledger) if wish.study is None else study_of(ledger, wish.study)
    if last is not None and wish.is_text_given:
        wish = _with_last_corpus(ledger, wish, last)
    if last is not None and wish.study is not None:
        _require_kind(ledger, wish, last)
    if last is None or wish.is_text_given:
        return wish, None
    seed = wish.seed if wish.is_seed_given or not last.seeds else last.seeds[0]
    noted = _noted(ledger, last)
    names = {one.name for one in dataclasses.fields(Source)} - {"root", "sha256"}
    source = Source(root=wish.source.root, sha256=last.text_sha256,
                    **{name: value for name, value in noted.items() if name in names})
    return dataclasses.replace(wish, source=source, seed=seed), _moved(noted, last)


def _with_last_corpus(ledger: Queries, wish: Wish, last: Calibration) -> Wish:
    """The wish on the last study's corpus where --stories or --valid came alone and suit it."""
    what = str(_noted(ledger, last)["what"])
    is_file = what not in GENERATED
    suits = wish.source.n_stories is None if is_file else wish.source.valid is None
    if wish.is_corpus_given or not suits:
        return wish
    return dataclasses.replace(wish, source=dataclasses.replace(wish.source, what=what))


def _require_kind(ledger: Queries, wish: Wish, named: Calibration) -> None:
    """Refuse a text that is not the study's by its very kind, before it is made."""
    corpus, what = ledger.corpus(named.corpus_id), wish.source.what
    kind = what if what in GENERATED else "file"
    if wish.is_text_given and kind != (corpus.source if kind == "file" else what_of(corpus)):
        text = what if kind != "file" else Path(what).name
        told = Difference("text", f"text {text}, not {corpus.name}", "--corpus")
        raise UserError(_conflict(named, (told,)))


def note_of(ledger: Queries, wish: Wish, study: Calibration) -> dict[str, Any]:
    """What a night keeps of where its text lies, for the next one that goes on with it."""
    if not wish.is_text_given:
        return _noted(ledger, study)
    source = {name: value for name, value in dataclasses.asdict(wish.source).items()
              if name not in ("root", "sha256") and value is not None}
    return source | {"files": [[path, *found] for path in (wish.source.what, wish.source.valid)
                               if path and (found := _stat(path))]}


def _noted(ledger: Queries, study: Calibration) -> dict[str, Any]:
    """Where the text of a study was last; what earlier versions did not note, by its name."""
    night, corpus = night_of(ledger, study), ledger.corpus(study.corpus_id)
    if night is not None and isinstance(night.source.get("what"), str):
        return night.source
    return {"what": what_of(corpus)}


def what_of(corpus: Corpus) -> str:
    """What --corpus would say of a text."""
    is_named = corpus.source == "file" or corpus.name in GENERATED
    return corpus.name if is_named else corpus.source


def _moved(noted: dict[str, Any], study: Calibration) -> str | None:
    for path, *was in noted.get("files", []):
        found = _stat(path)
        if found is None:
            return (f"{path} is no longer there; study {study.id} goes on with the copy that was "
                    "made of it")
        if found != was:
            return (f"{path} was changed since; study {study.id} goes on with the text as it was, "
                    "and --corpus studies it as it is")
    return None


def _stat(path: str) -> list[int] | None:
    """Size and time of a file; None where there is none."""
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return [found.st_size, found.st_mtime_ns]


# --- the study -------------------------------------------------------------------------------


def base_of(ledger: Queries, wish: Wish, text_sha256: str | None = None) -> Config:
    """The start that was asked for; without --set that of the last study, first on that text."""
    if wish.settings and wish.study is None:
        return Config().assign(wish.settings)
    if wish.study is not None:
        return Config.from_dict(study_of(ledger, wish.study).config)
    known = sorted(by_use(ledger), key=lambda one: one.text_sha256 != text_sha256)
    return held_of(Config(), Config.from_dict(known[0].config), wish) if known else Config()


def held_of(before: Config, config: Config, wish: Wish) -> Config:
    """The configuration with what is HELD as it was before, where --set does not say it.

    A study goes on as it began, in the order of the text that its runs are pairs in; a new one
    begins as this version does.
    """
    asked = {text.partition("=")[0].strip() for text in wish.settings}
    return dataclasses.replace(config, **{name: getattr(before, name) for name in HELD
                                          if name not in asked})


def choose(ledger: Queries, wish: Wish, text_sha256: str, text: str,
           classes: Classes | None = None) -> Choice:
    """The study that is what was asked for and was worked on last, or none and why."""
    base, last = base_of(ledger, wish, text_sha256), current_study(ledger)

    def differences(one: Calibration) -> tuple[Difference, ...]:
        return (*_differences(ledger, one, wish, base, text_sha256, text),
                *_other_class(ledger, one, classes))

    if wish.study is not None:
        named = study_of(ledger, wish.study)
        if not is_of_home(ledger, named) and named.device not in (None, machine.device()):
            raise UserError(f"study {named.id} is of another home and device ({named.device}), "
                            "whose runs are no pairs with those of this one; leave out --study, "
                            "and a study of the same start begins here")
        if found := differences(named):
            raise UserError(_conflict(named, found))
        return Choice(named, base, last, ())
    for known in by_use(ledger):  # what other homes do is theirs to go on with
        if is_of_home(ledger, known) and not differences(known):
            return Choice(known, Config.from_dict(known.config), last,
                          differences(last) if last else ())
    return Choice(None, base, last, (*_elsewhere(ledger, last, wish), *differences(last),
                                     *_since(last, base)) if last else ())


def _elsewhere(ledger: Queries, known: Calibration, wish: Wish) -> Iterator[Difference]:
    """That a study is another home's: its runs and those of this device are no pairs."""
    if not is_of_home(ledger, known):
        advice = "" if wish.run_tokens else (
            f", and scores compare with --run-tokens {known.budget_tokens}")
        on = known.device or "of an unknown device"
        yield Difference("home", f"that is of another home ({on}), whose runs are no pairs with "
                         f"those of this one{advice}", "this home")


def _since(last: Calibration, base: Config) -> Iterator[Difference]:
    """What a new study has in another way than the last one without being asked to."""
    start = Config.from_dict(last.config)
    for field in HELD:
        if (new := getattr(base, field)) != (old := getattr(start, field)):
            yield Difference(TITLES[field], f"{TITLES[field]} {new}, not {old}", "this version")


def _differences(ledger: Queries, known: Calibration, wish: Wish, base: Config,
                 text_sha256: str, text: str) -> Iterator[Difference]:
    """In what a study is not what was asked for; what was not said is no difference.

    How long a night is decides nothing: a study goes on in a shorter or a longer one.
    """
    start = Config.from_dict(known.config)
    wanted = start.assign(wish.settings) if wish.study is not None else held_of(start, base, wish)
    if known.text_sha256 != text_sha256:
        name = ledger.corpus(known.corpus_id).name
        told = f"text {text}, not {name}" if text != name else f"text {text}, not as it was"
        yield Difference("text", told, "--corpus" if wish.source.n_stories is None else "--stories")
    if wish.settings or known.text_sha256 != text_sha256:
        old, new = start.canonical(), wanted.canonical()
        for field in changed_fields(start, wanted):
            told = f"{TITLES[field]} {shown(new[field])}, not {shown(old[field])}"
            yield Difference(TITLES[field], told, "--set")
    yield from _other_seeds(ledger, known, wish)
    yield from _other_kernels(kernels_of(known))
    if wish.run_tokens is not None and wish.run_tokens != known.budget_tokens:
        yield Difference("tokens a run", f"{wish.run_tokens:,} tokens a run, not "
                         f"{known.budget_tokens:,}", "--run-tokens")
    planned_s = studies.planned_for_s(ledger, known)
    if wish.run_s is not None and not (
            planned_s and SHORTER <= planned_s / wish.run_s <= LONGER):
        yield Difference("length of a run", f"runs of {words.duration(wish.run_s)}, not "
                         f"{words.duration(known.run_s)}", "--run-for")


def _other_kernels(known: str) -> Iterator[Difference]:
    """A study is computed by one kind of kernels to its end; without a word by its own."""
    is_other = kernels.usual() != known if kernels.is_asked() else kernels.why_not(known)
    if is_other:
        yield Difference("kernels", f"kernels {kernels.usual()}, not {known}",
                         kernels.ASKED if kernels.is_asked() else HERE)


def _other_class(ledger: Queries, known: Calibration,
                 classes: Classes | None) -> Iterator[Difference]:
    """That no device computes here whose runs are pairs with those that measured a study's noise.
    """
    measured = None if classes is None else class_of_study(ledger, known.id)
    if classes is None or measured is None or (measured == AT_HOME and classes.there is None):
        return
    wanted = measured or classes.own
    if classes.there is None:
        if wanted != classes.own:
            yield Difference(CLASS, f"its noise is that of {wanted}, and this machine is of "
                             f"{classes.own}, which rounds otherwise: their runs are no pairs",
                             HERE)
    elif wanted not in classes.there:
        whose = "this machine's, " if measured == AT_HOME else ""
        there = " and ".join(sorted(classes.there)) or "none"
        yield Difference(CLASS, f"its noise is that of {whose}{wanted}, and the cluster's machines "
                         f"are of {there}, which rounds otherwise: their runs are no pairs",
                         "--cluster")


def _other_seeds(ledger: Queries, known: Calibration, wish: Wish) -> Iterator[Difference]:
    seeds = known.seeds
    first = wish.seed if wish.is_seed_given or not seeds else seeds[0]
    expected = studies.baseline_seeds(ledger, known.text_sha256, Config.from_dict(known.config),
                                      known.budget_tokens, first, kernels_of(known))
    if seeds and seeds == expected:
        return
    if seeds and len(seeds) == len(expected) and wish.is_seed_given:
        yield Difference("seed", f"seed {wish.seed}, not {seeds[0]}", "--seed")
    else:
        yield Difference("baseline", "an earlier version measured its baseline", "this version")


def _conflict(named: Calibration, found: tuple[Difference, ...]) -> str:
    told = "; ".join(one.told for one in found)
    options = " and ".join(dict.fromkeys(one.option for one in found))
    remedy = "" if options == HERE else f", or {options}"
    return (f"study {named.id} is not what {options} {'ask' if ' and ' in options else 'asks'} "
            f"for ({told}, as it has); leave out --study, which opens another{remedy}")
