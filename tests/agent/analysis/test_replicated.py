"""Published beside measured, and what of the published findings stands."""

from dataclasses import replace

import pytest

from agent.analysis.replicated import Again, PublishedClaim, published_claims, replicated_runs
from agent.ledger.ledger import Ledger
from agent.ledger.records import GridCell
from agent.search.study import Origin, new_run
from tests.support.parts import NOW, TINY, new_corpus
from tests.support.published_rows import PUBLISHED


def again(name: str, versus: float | None = None, **its: object) -> Again:
    values = {"name": name, "recipe": "", "published_loss": 6.0, "published_vs": 0.0,
              "published_end": "finished", "losses": [] if versus is None else [5.0],
              "versus": [] if versus is None else [versus],
              "learnt": [] if versus is None else [versus]}
    return Again(**values | its)


def claim(name: str, *found: Again) -> PublishedClaim:
    return next(one for one in published_claims(found) if one.name == name)


@pytest.mark.parametrize(("versus", "stands"), [(-0.013, True), (0.02, True), (-0.4, False),
                                                (None, None)])
def test_the_wall_stands_where_the_loss_stays_at_the_unigram(
        versus: float | None, stands: bool | None) -> None:
    assert claim("wall", again("B1", versus)).stands is stands


def test_one_run_far_below_breaks_the_ceiling_and_four_that_are_not_hold_it() -> None:
    held = [again(name, 0.01) for name in ("B1", "μ1", "μ2", "E3")]
    assert claim("ceiling", *held).stands
    assert claim("ceiling", *held[:3]).stands is None
    broken = claim("ceiling", again("μ1", -0.3))
    assert (broken.stands, broken.measured) == (False, "μ1 -30.0 %")


def test_adamw_is_held_against_lion() -> None:
    assert claim("AdamW > Lion", again("μ1", -0.2), again("μ2", 0.1)).stands
    assert claim("AdamW > Lion", again("μ1", 0.2), again("μ2", 0.1)).stands is False
    assert claim("AdamW > Lion", again("μ1", 0.2)).stands is None


def test_a_rate_diverges_where_a_seed_does() -> None:
    assert claim("6e-4 diverges", again("E2", n_diverged=1)).stands
    found = claim("6e-4 diverges", again("E2", -0.3))
    assert (found.stands, found.measured) == (False, "0 of 1 seeds diverged")


def test_few_stories_are_judged_by_what_was_learnt_of_them() -> None:
    found = claim("5 stories overfit", again("μ3", 0.5, learnt=[-0.9]))
    assert found.stands
    assert found.measured == "-90.0 % from the unigram in training, +50.0 % on text held out"
    assert claim("100 stories fail", again("100 stories", 0.5, learnt=[-0.9])).stands is False


def test_runs_stand_beside_the_row_whose_recipe_they_are(tmp_path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.import_published(PUBLISHED, NOW)
        corpus_id = ledger.add_corpus(new_corpus())
        for seed, name in enumerate(("B1", "B1", "100 stories")):
            new = new_run(ledger, TINY, seed, 3200, corpus_id, NOW, Origin("grid", "a test"))
            run = ledger.queue(replace(new, cell=GridCell(
                family="balanced", size=name, purpose="replicate")))
            if seed != 1:
                ledger.claim(NOW, run_id=run.id)
                ledger.finish(run.id, "finished", NOW, val_loss=4.0, vs_unigram=-0.2,
                              train_loss=2.5)
        found = {one.name: one for one in replicated_runs(ledger)}
    assert list(found) == ["B1", "μ1", "μ2", "E2", "E3", "μ3", "100 stories"]
    assert (found["B1"].losses, found["B1"].n_waiting) == ([4.0], 1)
    assert found["B1"].published_loss == 6.17
    assert found["100 stories"].learnt == [-0.5]
    assert found["100 stories"].published_end == "claimed"
