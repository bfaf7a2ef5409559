"""What a night may spend on a proposal."""

from pathlib import Path

import pytest

from agent.ledger.ledger import Ledger
from agent.search.batches import LEAST_BATCH
from agent.search.campaign import FORESEEN, SLOWEST, Campaign, Plan
from agent.search.verdict import RULE
from engine.config import Config
from strategies.base import why_not
from tests.support.parts import NOW, TINY, FakeTime, a_run, a_study

RUN_S = 10.0


@pytest.mark.parametrize(("left_s", "max_s"), [
    (1000.0, FORESEEN * SLOWEST * RUN_S),  # the limit of every proposal
    (LEAST_BATCH * RUN_S + 15.0, 15.0),  # so that four runs are left for what was kept
    (LEAST_BATCH * RUN_S + 5.0, RUN_S)])  # one more of the head's price: then the batch begins
def test_a_proposal_leaves_time_to_confirm_what_was_kept(
        tmp_path: Path, left_s: float, max_s: float) -> None:
    time = FakeTime()
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = a_study(ledger)
        for config, verdict in ((TINY, "baseline"), (TINY.assign(["lr=1e-3"]), "kept")):
            run = a_run(ledger, config, strategy="baseline" if config is TINY else "random",
                        study=study)
            ledger.claim(NOW)
            ledger.finish(run.id, "finished", NOW, val_bpb=2.0 - 0.1 * (verdict == "kept"),
                          val_loss=4.5, confirm_bpb=2.0)
            ledger.decide(run.id, None, verdict, RULE, {}, "a test", NOW)  # type: ignore[arg-type]
        plan = Plan(3000.0, deadline_s=time.clock().boot() + left_s)
        campaign = Campaign(ledger, time.clock(), plan, lambda _: None,  # type: ignore[arg-type, return-value]
                            lambda: None)
        campaign.study = ledger.calibration(study)
        found = campaign._limits(lambda config, budget: RUN_S)
        assert found.max_s == pytest.approx(max_s)
        assert found.run_s is not None
        assert found.run_s(Config(), 1) == RUN_S


def test_a_portable_night_has_no_idea_that_other_programs_cannot_say(tmp_path: Path) -> None:
    time = FakeTime()
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        study = a_study(ledger)
        limits = []
        for is_portable in (False, True):
            campaign = Campaign(ledger, time.clock(), Plan(3000.0, is_portable=is_portable),
                                lambda _: None,  # type: ignore[arg-type, return-value]
                                lambda: None)
            campaign.study = ledger.calibration(study)
            limits.append(campaign._limits(None))
        for text in ("bigram_buckets=4096", "residual_scalars=true", "mixer=rwkv", "qk_norm=true"):
            config = TINY.assign([text])
            assert [why_not(config, one) is None for one in limits] == [True, False]
        plain = TINY.assign(["optimizer=muon", "cautious_decay=true"])
        assert why_not(plain, limits[1]) is None
