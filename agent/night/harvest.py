"""The last part of a night: the confirmed configuration grown to what the time left can carry.

    search ──its time is over, or a plateau──► a test on fresh seeds under way? ──no──► harvest
                                                   │ yes: it is finished first              │
                                                   └──too late by then: no harvest          ▼
                                                      tonight                        the night's end

What is foretold of it is in the ledger before it begins. It keeps the guard's rules as any run, and
one that is cut short is first thing in the next night, on its own schedule.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from agent import words
from agent.analysis import harvested
from agent.ledger import Calibration, Run
from agent.night.crop import Crop, crop_of, sow, waiting
from agent.night.needs import typed
from agent.night.pace import run_s
from agent.search import OVERRUN_S, harvest
from agent.words import Told
from engine.errors import CorpusError, LedgerError, UserError

if TYPE_CHECKING:
    from agent.night.night import Night

SHARE = 0.25  # of a night
# In less, a quarter is under 15 minutes, and the search of what is left has runs of under two and a
# half: their noise hides what a larger model gains, so the time is the search's.
LEAST_NIGHT_S = 3600.0
# Of its study's runs a harvest takes so long: a loss falls by 5 to 15 % for each doubling of the
# work, so that less than three times a run's gains little more than the search does meanwhile.
LEAST_RUNS = 3.0
SEEN_SHARE, SEEN_S = 0.02, 20.0  # of a harvest, before its speed is compared with what was foreseen
LATE = 1.05  # times the time left: it will not end in this night

State = Literal["search", "settling", "harvest", "over"]


def kept_s(night_s: float | None, wanted_s: float | None) -> float:
    """Seconds at a night's end that are kept. UserError where they are all of it."""
    if wanted_s is None:
        return SHARE * night_s if night_s is not None and night_s >= LEAST_NIGHT_S else 0.0
    if night_s is not None and wanted_s >= night_s:
        raise UserError(f"--harvest {typed(wanted_s)} leaves no search of --for {typed(night_s)}; "
                        f"give it less, or `agent harvest --for {typed(night_s)}` for a harvest "
                        "alone")
    return wanted_s


class Harvest:
    """When a night's harvest begins, and what it is."""

    def __init__(self, night: "Night") -> None:
        self.night, self.seconds = night, 0.0
        self.end_s = night.plan.deadline_s  # of the night; None until a search without end is over
        self.state: State = "over"  # until time is kept
        self.run: Run | None = None
        self._is_late_told = False

    def keep(self, seconds: float) -> None:
        """Keep so much of the night's end."""
        if seconds > 0:
            self.seconds, self.state = seconds, "search"
            if self.end_s is not None:
                self._plan_until(self.end_s - seconds)

    def announce(self, study: Calibration, *, is_asked: bool) -> None:
        """Say what is kept; what nobody asked for and is too short for this study is the search's.
        """
        if self.state != "search":
            return
        one_s = run_s(self.night.ledger, study) or 0.0
        least_s = LEAST_RUNS * one_s
        if not is_asked and self.seconds < least_s:
            self.state = "over"
            if self.end_s is not None:
                self._plan_until(self.end_s)
            return
        short = "" if self.seconds >= least_s else (
            f"; a run of study {study.id} takes {words.duration(one_s)}, so that they may be "
            "too short for one")
        self.night.observer.say(Told(
            f"the last {words.duration(self.seconds)} are kept for the harvest: what is confirmed "
            f"by then, grown (--harvest 0 keeps none){short}", level="always"))

    # --- at a tick ---------------------------------------------------------------------------

    def takes_over(self) -> bool:
        """The search is over: whether the night goes on all the same, with a test or a harvest."""
        night = self.night
        if night.is_stopping or self.state == "over":
            return False
        if self.state == "harvest":
            return self._left_s() > 0 and self.due() is not None
        if night.is_paused or night.is_held:  # it is planned by the time that is left once it may
            return self.end_s is None or self._left_s() > 0
        if self.end_s is None:
            self.end_s = night.clock.boot() + self.seconds
        self._plan_until(self.end_s)
        if not night.campaign.is_pending():
            return self._begin()
        most = night.plan.max_runs
        if self.state == "settling" or (most is not None and night.n_ended >= most):
            self.state = "over"
            night.note("harvest", "no harvest: what is confirmed is still under test on fresh "
                                  "seeds; the next night goes on with that")
            return False
        self.state = "settling"
        night.note("harvest", "the harvest waits until the test on fresh seeds is over, so that "
                              "what it grows is final")
        return True

    def end_search(self, reason: str) -> None:
        """The search has nothing more to do: what is kept takes over, or else the night ends."""
        if not self.takes_over():
            self.night.stop(reason)

    def may_go_on(self, run: Run) -> bool:
        """Whether the search's time is for this waiting run: a harvest that was cut short is,
        where all that is left of it fits; an idea that was asked ahead is not, once only the test
        is to be finished."""
        if self.state == "settling" and self.night.plan.n_trials > 1 and run.strategy not in (
                "confirm", "baseline"):
            return False
        return run.strategy != harvest.HARVEST or self.night.campaign.fits(run)

    def due(self) -> int | None:
        """The id of the run that is next, while it is time for it."""
        if self.state == "settling" and not self.night.campaign.is_pending():
            self._begin()
        if self.state != "harvest":
            return None
        assert self.run is not None
        if self.night.ledger.run(self.run.id).state in ("queued", "running"):
            return self.run.id
        self.state = "over"  # whatever time is left is the search's
        return None

    def look(self) -> None:
        """Tell once where a harvest will not end in this night, by its own first steps."""
        trial = next((trial for trial in self.night.slots.trials
                      if trial.run.strategy == harvest.HARVEST), None)
        if trial is None or self._is_late_told:
            return
        left_s, speed = self._end_left_s(), trial.last.get("step", {})
        budget, done = trial.run.budget_tokens or 0, speed.get("tokens") or 0
        rate = speed.get("tok_per_s") or 0.0
        if left_s is None or not rate or done < max(SEEN_SHARE * budget, SEEN_S * rate):
            return
        needs_s = (budget - done) / rate
        if needs_s > LATE * (left_s + OVERRUN_S):
            self._is_late_told = True
            self.night.note("harvest", f"{trial.run.label} trains {rate:,.0f} tokens/s and needs "
                            f"{words.duration(needs_s)} more, longer than this night: it is saved "
                            "at the end, and the next `agent run` goes on with it",
                            {"needs_s": needs_s, "left_s": left_s}, trial.run.id)

    # --- parts -------------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Queue what is grown, or say why nothing is and leave the time to the search."""
        night = self.night
        assert night.study is not None
        self.state = "over"
        begun = waiting(night.ledger, night.study.corpus_id)
        if begun is None:
            one_s = run_s(night.ledger, night.study) or 0.0
            if self._left_s() < LEAST_RUNS * one_s:
                night.note("harvest", f"no harvest: {words.duration(self._left_s())} are left, and "
                                      f"a run takes {words.duration(one_s)}")
                return self._left_s() > one_s
            try:
                begun = self._sow(self._crop())
            except CorpusError:
                raise
            except UserError as refusal:
                night.note("harvest", f"no harvest: {refusal}")
                return self._left_s() > one_s
        self.run, self.state = begun, "harvest"
        return True

    def _crop(self) -> Crop:
        night = self.night
        run = night.campaign.to_grow()
        if run is None:
            raise UserError("no run has finished that could be grown")
        found = crop_of(night.ledger, run, night.study, night.campaign.limits(), self._left_s())
        mean_bpb = found.source.prediction(found.grown).mean_bpb
        before = [one for one in night.ledger.runs("finished") if one.val_bpb is not None
                  and one.strategy == harvest.HARVEST and one.corpus_id == run.corpus_id]
        best = min(before, key=lambda one: one.val_bpb or 0.0, default=None)
        if best is not None and (best.val_bpb or 0.0) <= mean_bpb:
            raise UserError(f"{best.label} has {best.val_bpb:.3f} bits/byte already, and what "
                            f"could be grown now is foretold {mean_bpb:.3f}")
        return found

    def _sow(self, crop: Crop) -> Run:
        night = self.night
        try:
            run = sow(night.ledger, crop, night.clock.stamp())
        except LedgerError as error:
            raise UserError(str(error)) from error
        night.note("harvest", Told(f"{run.label}: {crop}", level="always"), crop.as_dict(), run.id)
        return run

    def _left_s(self) -> float:
        return self._end_left_s() or 0.0

    def _end_left_s(self) -> float | None:
        return None if self.end_s is None else self.end_s - self.night.clock.boot()

    def _plan_until(self, deadline_s: float) -> None:
        night = self.night
        night.plan = night.campaign.plan = replace(night.plan, deadline_s=deadline_s)


def at_end(night: "Night") -> list[str]:
    """What came of the harvests that this night worked on, in lines; none where none was."""
    if night.only is not None:
        ids = {night.only} & {run.id for run in night.ledger.runs()
                              if run.strategy == harvest.HARVEST}
    else:
        events = night.ledger.events_of_night()
        begun_at = next((event.at for event in events if event.kind == "night"), "")
        ids = {one.run_id for one in night.ledger.decisions(limit=50)
               if one.rule == harvest.RULE and one.decided_at >= begun_at}
        ids |= {event.run_id for event in events
                if event.kind == "harvest" and event.run_id is not None}
    return [line for run_id in sorted(ids)
            for line in harvested(night.ledger, night.ledger.run(run_id)).lines()]
