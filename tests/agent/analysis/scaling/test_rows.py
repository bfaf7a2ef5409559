"""Which runs are taken: one text, one vocabulary, one recipe, and no check beside the law."""

from pathlib import Path

import pytest

from agent.analysis.scaling.rows import Ground, observed_of
from agent.ledger.ledger import Ledger
from agent.ledger.reader import Reader
from engine.errors import UserError
from tests.support.example_grids import (
    N_TOKENS,
    PART,
    SHAPES,
    TOKENS,
    Filler,
    matrices,
    sized,
)
from tests.support.parts import a_study, new_corpus


def test_all_points_of_the_law_are_taken_and_checks_are_not(ground: Ground) -> None:
    assert len(ground.runs) == 25 + 3 + 15 + 2
    assert ground.n_checks == 4
    assert ground.text == "tales"
    assert ground.uniques == {PART: "200s"}
    assert {run.family for run in ground.runs} == {"balanced", "deep"}
    assert ground.recipe == {"batch_size": 4, "seq_len": 16}


def test_parameters_are_counted_by_three_conventions(ground: Ground) -> None:
    run = next(run for run in ground.runs if run.label == "G1")
    config = sized(*SHAPES[0])
    width = config.n_embd  # 4 projections and 3 of the MLP, which is 4 times as wide
    assert run.n_matrices == (4 + 3 * 4) * width ** 2 == matrices(config)
    assert run.n_with_head == run.n_matrices + 300 * width
    assert run.n_all == config.n_params > run.n_with_head + 300 * width


def test_different_tokens_are_those_seen_or_those_of_the_part(ground: Ground) -> None:
    found = {(run.tokens, run.unique) for run in ground.runs}
    assert found == {(n, n) for n in TOKENS} | {(n, PART) for n in TOKENS[2:]}
    assert max(TOKENS) < N_TOKENS


def test_an_earlier_ledger_without_the_table_has_one_family_on_the_whole_text(
        tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as ledger:
        Filler(ledger).cell(sized(16, 1), TOKENS[0])
        ledger._db.execute("DROP TABLE grid_cells")
    with Reader.open(path) as opened:
        (run,) = observed_of(opened).runs
    assert (run.family, run.unique) == ("balanced", TOKENS[0])


def test_another_recipe_and_another_text_are_left_out_and_told(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        filler = Filler(ledger)
        for tokens in TOKENS[:3]:
            filler.cell(sized(16, 1), tokens)
        filler.cell(sized(16, 1, weight_decay=0.2), TOKENS[0])
        filler.text = ledger.add_corpus(new_corpus(name="news", text_sha256="n" * 64,
                                                   search_sha256="z" * 64))
        filler.cell(sized(16, 1), TOKENS[0])
        found = observed_of(ledger)
        assert (len(found.runs), found.n_other_recipes, found.n_other_texts) == (3, 1, 1)
        assert len(observed_of(ledger, "news").runs) == 1
        with pytest.raises(UserError, match="on a text called 'poems'; there are some on news, "
                                            "tales"):
            observed_of(ledger, "poems")
        study = a_study(ledger, text="o" * 64)
        assert len(observed_of(ledger, study=study).runs) == 3  # on the same shard
        other = ledger.add_corpus(new_corpus(name="odes", text_sha256="q" * 64,
                                             search_sha256="y" * 64))
        ledger._db.execute("UPDATE calibrations SET corpus_id = ?", [other])
        with pytest.raises(UserError, match="on the text of study 1"):
            observed_of(ledger, study=study)


def test_without_a_finished_cell_it_is_said_what_to_run(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger, pytest.raises(
            UserError, match="no cell of a grid has finished here.*agent grid --params"):
        observed_of(ledger)
