"""A batch: head against what was confirmed before it on fresh seeds, which runs and what word."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from agent.search import texts, verdict
from agent.search.actions import Batch, Due, Pending, Repeat, Step, made
from agent.search.scores import Scores
from agent.search.verdict import Decision, Noise

LEAST_BATCH = 2 * verdict.MIN_PAIRS  # runs, with fewer of which there is no word
MAX_SKIPPED = 2  # seeds on which the system killed a run, and a batch is left undecided


def gains(batch: Batch, scores: Scores) -> dict[int, float]:
    """What the head gained over the base, by seeds that both have run on."""
    head, base = scores.by_seed(batch.head.key), scores.by_seed(batch.base.key)
    return {seed: base[seed] - head[seed] for seed in batch.seeds if seed in head and seed in base}


def least(batch: Batch | None) -> int:
    """Runs without which there is no word: half of a pair where the base has a seed that is free.
    """
    return LEAST_BATCH - (min(verdict.MIN_PAIRS, len(batch.seeds)) if batch else 0)


def next_arm(batch: Batch, scores: Scores, taken: AbstractSet[tuple[str, int]], last_seed: int,
             pending: Sequence[Pending]) -> Repeat | None:
    """The next of head, base, base, head, …: what drifts with time falls on both.

    On the baseline's own seeds it is the head alone. None while pairs enough for a word run.

    taken      configurations and seeds that have a run of another's
    last_seed  above which no seed was used
    """
    running = {(one.key, one.seed) for one in pending if one.kind == "confirm"}
    started = sorted({seed for _, seed in running}.difference(batch.seeds))
    last, n_whole, n_begun = max([last_seed, *started]), len(gains(batch, scores)), 0
    for i, seed in enumerate([*batch.seeds, *started, last + 1]):
        arms = (batch.head, batch.base)[:: -1 if i % 2 else 1]
        lacking = [arm for arm in arms if seed not in scores.by_seed(arm.key)
                   and (arm.key, seed) not in running]
        if seed in batch.skipped or any((arm.key, seed) in taken for arm in lacking):
            continue
        if n_begun >= max(verdict.MIN_PAIRS, n_whole + 1):
            break
        if lacking:
            return Repeat("confirm", lacking[0], seed, f"fresh seed {i + 1}: is the head "
                          "better than what was confirmed before it?")
        n_begun += 1
    return None


def due(batch: Batch, scores: Scores, noise: Noise, n_vain: int,
        chain: Sequence[Step]) -> Due | None:
    """The decision on the batch that its runs allow, and what it means for the chain's steps.

    n_vain  batches since the last confirmed one
    """
    found = _word(batch, scores, noise, n_vain)
    if found is None:
        return None
    said = {"confirmed": "a step of what fresh seeds confirmed",
            "refuted": "rolled back with the steps made on it"}
    fallen = _fallen(batch, chain) if found.verdict == "refuted" else []
    told = made(batch.steps) if found.verdict == "confirmed" else fallen
    if fallen and len(fallen) < len(chain):
        found = replace(found, evidence=found.evidence | {
            "standing": [step.node.run_id for step in chain if step not in fallen]})
    echoes = [(step.node.run_id, Decision(found.verdict, {"with": batch.head.run_id},
                                          said[found.verdict]))
              for step in told if step.node.run_id != batch.head.run_id]
    return Due(batch.head.run_id, batch.base.run_id, found, tuple(echoes))


def _fallen(batch: Batch, chain: Sequence[Step]) -> list[Step]:
    """The steps that fall with a head: what it holds, and whatever was made on that."""
    keys = {step.node.key for step in made(batch.steps)}
    for step in chain:
        if step.on in keys:
            keys.add(step.node.key)
    return [step for step in chain if step.node.key in keys]


def _word(batch: Batch, scores: Scores, noise: Noise, n_vain: int) -> Decision | None:
    paired = gains(batch, scores)
    shared = list(paired)
    broken = [seed for seed in batch.seeds if scores.has_diverged(batch.head.key, seed)]
    found: Decision | None
    if broken:  # whatever it gains on others
        found = Decision("refuted", {"n": len(shared), "diverged": broken},
                         f"it diverged on the fresh seed {broken[0]}: rolled back to what was "
                         "confirmed before")
    else:
        found = verdict.confirmation(list(paired.values()), noise, n_vain,
                                     lambda: _spread(batch, scores, shared))
        if found and len(batch.steps) > 1:
            found = replace(found, reason=f"{len(batch.steps)} steps together {found.reason}")
    if found is None and len(batch.skipped) > MAX_SKIPPED:
        found = Decision("undecided", {"n": len(shared)}, f"on {len(batch.skipped)} fresh "
                         "seeds a run did not finish: it stays provisional")
    return found and Decision(found.verdict, found.evidence | {
        "seeds": shared, "rho": scores.rho}, found.reason)


def _spread(batch: Batch, scores: Scores, seeds: Sequence[int]) -> texts.Spread | None:
    """What other text would change in the batch's gain."""
    return texts.spread([[(scores.blocks(batch.base.key, seed),
                           scores.blocks(batch.head.key, seed)) for seed in seeds]])
