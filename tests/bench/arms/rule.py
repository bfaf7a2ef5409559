"""The seeds' own rule as an arm: mutate the head at random, keep what is better on one seed.

No calibration, no confirmation: it claims the difference that it saw.
"""

import math

import numpy as np

from engine.errors import NoProposal
from strategies import random
from strategies.base import Outcome
from tests.bench.arms.course import Course, Found, Report


def rule_night(course: Course, seed: int, report: Report) -> Found:
    rng, limits = np.random.default_rng(seed), course.limits()
    found, history = Found(course.start), list[Outcome]()
    head = config = course.start
    start_bpb, head_bpb, why = None, math.inf, "the start"
    while n_left := course.n_left(found.tokens):
        ended = course.train(config, seed)
        found.take(ended)
        bpb = ended.bpb.get("search")
        history.append(Outcome(config, seed, course.budget_tokens, ended.state, bpb))
        verdict = "discarded"
        if bpb is not None and bpb < head_bpb:
            head, head_bpb, verdict = config, bpb, "kept"
            found.hand_over(head, "head")
        if config is course.start:
            start_bpb = bpb
        found.verdicts[verdict] += 1
        found.story.append(f"{verdict} {config.describe()}: {bpb or ended.state}; {why}")
        report(1 - n_left / course.n_runs)
        try:
            proposal = random.propose(head, history, rng, limits)
        except NoProposal as stop:
            found.end = str(stop)
            break
        config, why = proposal.config, proposal.reason
    if start_bpb is not None:
        found.claimed_gain = start_bpb - head_bpb
    return found
