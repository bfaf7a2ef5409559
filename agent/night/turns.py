"""Whose turn it is: the order in which a night of several slots asks, and decides.

Runs of a study are decided on in the order in which they were asked for, its baseline first: one
that ended out of turn waits. The search is asked for the next idea right after a decision, while
fewer runs than `Plan.window` are asked for and undecided. So what it knows when it is asked follows
from the results alone, not from which run was quicker, where it was computed, or who was killed.

        asked   1 2 3 4 5 6 7 8 9        window 6: 9 is asked once 3 has its decision
        ended   ✓ ✓ ✓   ✓ ✓              5 and 6 have ended, and wait for 4
        decided ✓ ✓ ✓

Ideas that are asked ahead wait in the queue, so that a slot that becomes free does not. With many
slots `Plan.at_a_look` ideas are asked for at one look, once the window has room for all of them:
again after so many decisions, whenever those came.
"""

from typing import TYPE_CHECKING

from agent.ledger import ENDED, Run
from agent.night import told
from agent.trial import turn
from engine.errors import NoProposal

if TYPE_CHECKING:
    from agent.night.night import Night


def go_on(night: "Night") -> None:
    """Decide on what has ended and has its turn, and ask for what is next after each decision.

    An idea takes its time to find, so that a tick has one look at most: what runs is watched.
    """
    if night.plan.n_trials == 1:
        end(night)
        return
    night.is_asking = False
    others, asked = _others(night), in_flight(night)
    while night.campaign.correction() is None:  # else what runs is saved, and begins anew
        if new := _ask(night, asked):
            asked += new
            if new[-1].strategy != "confirm":  # a repetition takes no time to find
                night.is_asking = True
                return
        elif others:
            night.judge(others.pop(0))
        elif asked and asked[0].state in ENDED:
            night.judge(run := asked.pop(0))
            if run.strategy == "baseline":  # with it the study's noise or its budget may change
                others, asked = _others(night), in_flight(night)
        else:
            return


def take_up(night: "Night") -> None:
    """Decide on what a night before left undecided; what is still in turn, the ticks decide on."""
    for run in night.ledger.undecided():
        if night.plan.n_trials == 1 or not night.campaign.counts_in(run):
            night.judge(run)


def end(night: "Night") -> None:
    """Decide on all that has ended, whosever turn it is: nothing else will end in this night."""
    for run in night.ledger.undecided():
        night.judge(run)


def in_flight(night: "Night") -> list[Run]:
    """Runs of the night's study that are asked for and have no decision, by turn."""
    ledger = night.ledger
    queued = [run for run in ledger.runs("queued")
              if night.harvest.may_go_on(run) and not night.is_too_large(run)]
    return sorted((run for run in [*queued, *ledger.runs("running"), *ledger.undecided()]
                   if night.campaign.counts_in(run)), key=turn)


def _others(night: "Night") -> list[Run]:
    """What has ended and waits for no turn: runs of no study, or of another one."""
    return [run for run in night.ledger.undecided() if not night.campaign.counts_in(run)]


def _ask(night: "Night", asked: list[Run]) -> list[Run]:
    """What was queued; nothing where the window is full or the search has to wait."""
    if not _may_ask(night):
        return []
    plan = night.plan
    if len(asked) > plan.window - plan.at_a_look or any(
            run.strategy == "baseline" for run in asked[:1]):  # they are the first
        return []  # an idea waits until the noise is known
    ids = (night.harvest.state, *(run.id for run in asked))
    if asked and ids == night.refused_beside:
        return []  # until one of them has a decision there is nothing new to say
    night.refused_beside = ids
    try:
        return night.campaign.ask(night.n_ended, asked, most=plan.at_a_look,
                                  is_last=night.harvest.state == "settling")
    except NoProposal as refusal:
        if not asked and not night.slots.trials and night.study:
            night.harvest.end_search(told.why_none(
                str(refusal), night.campaign.left_s(), night.study.run_s))
        return []


def _may_ask(night: "Night") -> bool:
    if night.study is None or night.only is not None or night.is_stopping or night.why_over():
        return False
    return night.has_waited() and night.harvest.state != "harvest"
