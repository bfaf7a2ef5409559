"""Which study a night goes on with, and what is said where another text or start was asked for."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.ledger.ledger import Ledger
from agent.ledger.studies import waiting_elsewhere
from agent.machine import kernels
from agent.night.choice import Choice, base_of, choose, note_of, with_last_text
from agent.night.wish import Wish
from agent.search.study import unused_seed
from agent.trial.prepare import Source
from engine.config import Config
from engine.errors import LedgerError, UserError
from tests.support.parts import NOW, TEXT, TINY, a_run, a_study

OTHER = "u" * 64
SEEDS = [0, 1, 2, 3, 4]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.db") as opened:
        yield opened


def wish(**changes: Any) -> Wish:
    """A wish of somebody who said nothing but these."""
    values: dict[str, Any] = {"is_text_given": False, "is_seed_given": False}
    return Wish(Source("data"), 3000.0, **values | changes)


def night(ledger: Ledger, study: int, **source: Any) -> None:
    newest = max(one.id for one in ledger.studies())
    ledger.event("night", "a test began", NOW,
                 data={"study": study, "newest_study": newest, "source": source})


def names(found: Choice) -> list[str]:
    return [one.name for one in found.differences]


# --- the study -------------------------------------------------------------------------------


@pytest.mark.parametrize("night_s", [None, 60.0, 240.0, 8 * 3600.0])
def test_a_study_goes_on_however_long_the_night_is(ledger: Ledger, night_s: float | None) -> None:
    study = a_study(ledger, seeds=SEEDS, run_s=26.0)
    found = choose(ledger, wish(night_s=night_s), TEXT, "tiny")
    assert found.study == ledger.calibration(study)


def test_without_a_word_the_last_start_goes_on(ledger: Ledger) -> None:
    a_study(ledger, seeds=SEEDS)
    assert base_of(ledger, wish()) == TINY
    assert choose(ledger, wish(), TEXT, "tiny").base == TINY


def test_the_last_study_is_what_a_night_worked_on_last(ledger: Ledger) -> None:
    first = a_study(ledger, seeds=SEEDS)
    second = a_study(ledger, seeds=SEEDS, budget_tokens=6400)
    found = choose(ledger, wish(), TEXT, "tiny").study
    assert found is not None
    assert found.id == second  # opened since
    night(ledger, first)
    found = choose(ledger, wish(), TEXT, "tiny").study
    assert found is not None
    assert found.id == first


# --- the order in which the text is read ------------------------------------------------------

BEFORE = {name: value for name, value in TINY.to_dict().items() if name != "data_order"}
START = [f"{name}={value}" for name, value in BEFORE.items() if value is not None]


@pytest.mark.parametrize("settings", [[], START, [*START, "data_order=linear"]])
def test_a_study_begun_in_another_order_of_the_text_goes_on_in_it(
        ledger: Ledger, settings: list[str]) -> None:
    study = a_study(ledger, seeds=SEEDS, config=BEFORE)
    found = choose(ledger, wish(settings=settings), TEXT, "tiny")
    assert found.study == ledger.calibration(study)
    assert found.base == dataclasses.replace(TINY, data_order="linear")


@pytest.mark.parametrize(("changes", "expected"), [
    ({"settings": [*START, "data_order=circular"]}, ["data order"]),
    ({"run_tokens": 6400}, ["tokens a run", "data order"])])
def test_a_new_study_begins_in_todays_order_and_says_so(
        ledger: Ledger, changes: dict[str, Any], expected: list[str]) -> None:
    a_study(ledger, seeds=SEEDS, config=BEFORE)
    found = choose(ledger, wish(**changes), TEXT, "tiny")
    assert (found.study, found.base) == (None, TINY)
    assert list(dict.fromkeys(names(found))) == expected
    assert "data order circular, not linear" in [one.told for one in found.differences]


@pytest.mark.parametrize(("asked", "told"), [
    (True, "kernels c11-0123abcd, not numpy"), (False, None)])
def test_a_study_is_computed_by_its_own_kernels_unless_others_are_asked_for(
        ledger: Ledger, monkeypatch: pytest.MonkeyPatch, asked: bool, told: str | None) -> None:
    monkeypatch.setattr(kernels, "usual", lambda: "c11-0123abcd" if asked else "numpy")
    monkeypatch.setattr(kernels, "is_asked", lambda: asked)
    a_study(ledger, seeds=SEEDS)
    found = choose(ledger, wish(), TEXT, "tiny")
    assert [one.told for one in found.differences] == ([told] if told else [])
    assert (found.study is None) is (told is not None)


def test_a_study_whose_kernels_are_gone_does_not_go_on_with_others(
        ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger._update("calibrations", a_study(ledger, seeds=SEEDS), {"kernels": "c11-0123abcd"})
    monkeypatch.setattr(kernels, "usual", lambda: "numpy")
    monkeypatch.setattr(kernels, "is_asked", lambda: False)
    monkeypatch.setattr(kernels, "why_not", lambda name: "it is gone")
    found = choose(ledger, wish(), TEXT, "tiny")
    assert found.study is None
    assert [one.told for one in found.differences] == ["kernels numpy, not c11-0123abcd"]


def test_a_study_named_in_its_own_order_is_not_led_into_another(ledger: Ledger) -> None:
    study = a_study(ledger, seeds=SEEDS, config=BEFORE)
    assert choose(ledger, wish(study=study), TEXT, "tiny").base.data_order == "linear"
    with pytest.raises(UserError, match="data order circular, not linear"):
        choose(ledger, wish(study=study, settings=["data_order=circular"]), TEXT, "tiny")


@pytest.mark.parametrize(("changes", "expected", "told"), [
    ({"settings": ["lr=1e-3"]}, ["width", "layers", "heads", "vocabulary", "window", "batch",
                                 "learning rate"], "learning rate 1e-3, not 3e-3"),
    ({"run_tokens": 5000}, ["tokens a run"], "5,000 tokens a run, not 3,200"),
    ({"run_s": 60.0}, ["length of a run"], "runs of 1 min, not 10 s"),
    ({"seed": 7, "is_seed_given": True}, ["seed"], "seed 7, not 0")])
def test_what_was_asked_for_and_differs_opens_a_study_that_says_so(
        ledger: Ledger, changes: dict[str, Any], expected: list[str], told: str) -> None:
    a_study(ledger, seeds=SEEDS)
    found = choose(ledger, wish(**changes), TEXT, "tiny")
    assert found.study is None
    assert set(names(found)) == set(expected)
    assert told in [one.told for one in found.differences]


@pytest.mark.parametrize("changes", [
    {"run_tokens": 3200}, {"run_s": 9.0}, {"seed": 0, "is_seed_given": True},
    {"settings": [f"{name}={value}" for name, value in TINY.to_dict().items()
                  if value is not None]}])
def test_what_was_asked_for_and_is_so_goes_on(ledger: Ledger, changes: dict[str, Any]) -> None:
    study = a_study(ledger, seeds=SEEDS)
    found = choose(ledger, wish(**changes), TEXT, "tiny").study
    assert found is not None
    assert found.id == study


def test_another_text_opens_a_study_with_the_last_start_and_says_so(ledger: Ledger) -> None:
    a_study(ledger, seeds=SEEDS)
    found = choose(ledger, wish(is_text_given=True), OTHER, "novel")
    assert (found.study, found.base, names(found)) == (None, TINY, ["text"])
    assert found.differences[0].told == "text novel, not tiny"


def test_a_text_that_has_a_study_goes_on_with_its_own_start(ledger: Ledger) -> None:
    other = a_study(ledger, text=OTHER, seeds=SEEDS, config=Config(n_embd=64).to_dict())
    a_study(ledger, seeds=SEEDS)
    found = choose(ledger, wish(is_text_given=True), OTHER, "novel")
    assert found.study is not None
    assert (found.study.id, found.base) == (other, Config(n_embd=64))
    assert "text" in names(found)  # than the last one: it is told which


def test_a_study_of_other_seeds_than_an_earlier_night_asked_goes_on_unasked(
        ledger: Ledger) -> None:
    study = a_study(ledger, seeds=[7, 8, 9, 10, 11])
    found = choose(ledger, wish(), TEXT, "tiny").study
    assert found is not None
    assert found.id == study
    assert with_last_text(ledger, wish())[0].seed == 7


def test_a_study_of_fewer_seeds_than_are_calibrated_on_now_does_not_go_on(
        ledger: Ledger) -> None:
    a_study(ledger, seeds=[0, 1, 2])
    found = choose(ledger, wish(), TEXT, "tiny")
    assert found.study is None
    assert found.differences[0].told == "an earlier version measured its baseline"


# --- --study ---------------------------------------------------------------------------------


def test_a_named_study_goes_on_with_its_own_text_and_start(ledger: Ledger) -> None:
    first = a_study(ledger, seeds=SEEDS)
    a_study(ledger, text=OTHER, seeds=SEEDS)
    filled, _ = with_last_text(ledger, wish(study=first))
    assert filled.source.sha256 == TEXT
    found = choose(ledger, filled, TEXT, "tiny").study
    assert found is not None
    assert found.id == first


@pytest.mark.parametrize(("changes", "told"), [
    ({"settings": ["lr=1e-3"]}, "--set asks for (learning rate 1e-3, not 3e-3, as it has)"),
    ({"run_tokens": 5000}, "--run-tokens asks for (5,000 tokens a run, not 3,200, as it has)"),
    ({"run_tokens": 5000, "seed": 3, "is_seed_given": True},
     "--seed and --run-tokens ask for (seed 3, not 0; 5,000 tokens a run, not 3,200, as it "
     "has)")])
def test_a_named_study_that_is_not_what_was_asked_for_is_refused(
        ledger: Ledger, changes: dict[str, Any], told: str) -> None:
    study = a_study(ledger, seeds=SEEDS)
    with pytest.raises(UserError) as error:
        choose(ledger, wish(study=study, **changes), TEXT, "tiny")
    assert told in str(error.value)
    assert "leave out --study" in str(error.value)


def test_a_text_that_is_not_the_named_studys_is_refused(ledger: Ledger) -> None:
    study = a_study(ledger, seeds=SEEDS)
    asked = wish(study=study, is_text_given=True)
    with pytest.raises(UserError, match=r"text novel, not tiny, as it has\); leave out --study"):
        choose(ledger, asked, OTHER, "novel")
    with pytest.raises(UserError, match="text builtin, not tiny"):  # before it is made
        with_last_text(ledger, asked)


@pytest.mark.parametrize(("n_studies", "told"), [
    (0, "none yet"), (1, "this ledger has study 1"), (3, "this ledger has studies 1, 2, 3"),
    (12, "this ledger has studies 1 to 12")])
def test_an_unknown_study_is_answered_with_what_there_is(
        ledger: Ledger, n_studies: int, told: str) -> None:
    for budget in range(n_studies):
        a_study(ledger, budget_tokens=1000 + budget)
    with pytest.raises(LedgerError, match=f"^there is no study 99; .*{told}"):
        with_last_text(ledger, wish(study=99))


# --- the text --------------------------------------------------------------------------------


def test_the_first_night_has_no_text_to_go_on_with(ledger: Ledger) -> None:
    asked = wish()
    assert with_last_text(ledger, asked) == (asked, None)


def test_the_text_is_found_by_its_hash_and_named_as_the_night_before_named_it(
        ledger: Ledger, tmp_path: Path) -> None:
    study, file = a_study(ledger, seeds=SEEDS), tmp_path / "novel.txt"
    file.write_text("once upon a time")
    given = Wish(Source("data", str(file)), 3000.0)
    night(ledger, study, **note_of(ledger, given, ledger.calibration(study)))
    filled, remark = with_last_text(ledger, wish())
    assert filled.source == Source("data", str(file), sha256=TEXT)
    assert remark is None
    assert note_of(ledger, filled, ledger.calibration(study))["what"] == str(file)  # and so on


def test_a_file_that_changed_or_went_is_told(ledger: Ledger, tmp_path: Path) -> None:
    study, file = a_study(ledger, seeds=SEEDS), tmp_path / "novel.txt"
    file.write_text("once upon a time")
    given = Wish(Source("data", str(file)), 3000.0)
    night(ledger, study, **note_of(ledger, given, ledger.calibration(study)))
    file.write_text("once upon another time")
    assert "novel.txt was changed since; study 1 goes on with the text as it was" in str(
        with_last_text(ledger, wish())[1])
    file.unlink()
    assert "novel.txt is no longer there; study 1 goes on with the copy" in str(
        with_last_text(ledger, wish())[1])


def test_a_ledger_of_an_earlier_version_tells_the_text_by_its_name(ledger: Ledger) -> None:
    a_study(ledger, seeds=SEEDS)
    ledger.event("night", "an earlier version began", NOW, data={"budget_tokens": 3200})
    filled, remark = with_last_text(ledger, wish())
    assert (filled.source.what, filled.source.sha256, remark) == ("tiny", TEXT, None)


@pytest.mark.parametrize(("last", "given", "what"), [
    ("tinystories", {"n_stories": 500}, "tinystories"), ("builtin", {"n_stories": 500}, "builtin"),
    ("/a/novel.txt", {"n_stories": 500}, "builtin"), ("/a/novel.txt", {"valid": "/a/v.txt"},
                                                      "/a/novel.txt")])
def test_a_number_of_stories_alone_is_of_the_last_corpus(
        ledger: Ledger, last: str, given: dict[str, Any], what: str) -> None:
    night(ledger, a_study(ledger, seeds=SEEDS), what=last)
    asked = Wish(Source("data", **given), 3000.0, is_corpus_given=False)
    assert with_last_text(ledger, asked)[0].source.what == what


# --- what waits for others -------------------------------------------------------------------


def test_what_waits_for_another_study_or_text_says_for_which(ledger: Ledger) -> None:
    first, second = a_study(ledger, seeds=SEEDS), a_study(ledger, text=OTHER, seeds=SEEDS)
    a_run(ledger, seed=0, study=first)
    a_run(ledger, seed=1, study=second, text=OTHER)
    a_run(ledger, seed=2, study=second, text=OTHER)
    a_run(ledger, seed=3, text=OTHER)
    a_run(ledger, seed=4)
    assert [str(one) for one in waiting_elsewhere(ledger, ledger.calibration(first))] == [
        "T2, T3 wait for study 2 (tiny, 3,200 tokens a run): `agent run --study 2`",
        "T4 waits for the text tiny: `agent run --study 2`"]


# --- classes of devices ----------------------------------------------------------------------


class Here:
    """What computes the runs, and how often its own class was looked at."""

    def __init__(self, own: str, there: set[str] | None = None) -> None:
        self._own, self.there, self.n_asked = own, there, 0

    @property
    def own(self) -> str:
        self.n_asked += 1
        return self._own


def measured_on(ledger: Ledger, device: str) -> int:
    """A study whose first baseline ended there."""
    study = a_study(ledger, seeds=SEEDS, device=device)
    run = a_run(ledger, strategy="baseline", study=study)
    ledger.claim(NOW, 1, run_id=run.id)
    ledger.finish(run.id, "finished", NOW, device=device, cores="0", val_bpb=2.0, confirm_bpb=2.0)
    return study


ONE, TWO = "class 000001", "class 000002"


@pytest.mark.parametrize(("device", "here", "told"), [
    ("a phone", Here(ONE), None), ("a phone", Here(ONE, {ONE, TWO}), None),
    (f"a phone, {ONE}", Here(ONE), None), (f"a phone, {ONE}", Here(TWO, {ONE}), None),
    ("a phone", Here(ONE, {TWO}), f"its noise is that of this machine's, {ONE}, and the cluster's "
     f"machines are of {TWO}"),
    (f"a phone, {ONE}", Here(TWO), f"its noise is that of {ONE}, and this machine is of {TWO}"),
    (f"a phone, {ONE}", Here(ONE, {TWO}), f"its noise is that of {ONE}, and the cluster's machines "
     f"are of {TWO}")])
def test_a_study_goes_on_where_runs_are_pairs_with_those_of_its_noise_and_else_says_why_not(
        ledger: Ledger, device: str, here: Here, told: str | None) -> None:
    study = measured_on(ledger, device)
    found = choose(ledger, wish(), TEXT, "tiny", here)
    if told is None:
        assert found.study is not None
        assert not found.is_on_other_class
        return
    assert (found.study, names(found)) == (None, ["class of device"])
    assert found.is_on_other_class
    assert found.differences[0].told.startswith(told)
    with pytest.raises(UserError, match="rounds otherwise"):
        choose(ledger, wish(study=study), TEXT, "tiny", here)


def test_a_home_that_never_saw_a_cluster_does_not_look_at_its_class(ledger: Ledger) -> None:
    measured_on(ledger, "a phone")
    here = Here(ONE)
    assert choose(ledger, wish(), TEXT, "tiny", here).study is not None
    assert here.n_asked == 0


def test_each_kind_of_device_goes_on_with_its_own_study(ledger: Ledger) -> None:
    first = measured_on(ledger, f"a phone, {ONE}")
    assert unused_seed(ledger, TEXT, TINY, 3200, 0) == 1  # no run of a start is shared
    second = a_study(ledger, seeds=[1, 2, 3, 4, 5], device="a phone")
    night(ledger, second)
    at_home, away = (choose(ledger, wish(), TEXT, "tiny", here).study
                     for here in (Here(TWO), Here(TWO, {ONE})))
    assert at_home is not None
    assert away is not None
    assert (at_home.id, away.id) == (second, second)  # nothing of it was measured yet
    run = a_run(ledger, seed=1, strategy="baseline", study=second)
    ledger.claim(NOW, 1, run_id=run.id)
    ledger.finish(run.id, "finished", NOW, device="a phone", cores="0", val_bpb=2.0,
                  confirm_bpb=2.0)
    away = choose(ledger, wish(), TEXT, "tiny", Here(TWO, {ONE})).study
    assert away is not None
    assert away.id == first
