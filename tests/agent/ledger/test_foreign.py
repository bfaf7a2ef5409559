"""A model from elsewhere is a row beside the runs."""

from pathlib import Path

from agent.ledger.foreign import add_foreign, foreign_uid
from agent.ledger.ledger import Ledger
from engine.config import Config
from tests.support import example_ledger as example

CONFIG = Config(n_embd=64, n_layer=2, n_head=2, rope_base=500.0, tied=True)
TOLD = {"n_embd": 64, "n_layer": 2, "n_head": 2, "rope_base": 500.0, "tied": True,
        "vocab_size": 1024}


def test_labels_count_on_and_one_model_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(example.filled())
    with Ledger.open(path) as ledger:
        before = ledger.best(of_all=True), ledger.counts(), ledger.incumbent(1)
        first, again, second = (
            add_foreign(ledger, foreign_uid(name), CONFIG, TOLD, "a folder", example.NOW)
            for name in ("a", "a", "b"))
        assert (first.label, again.id, second.label) == ("M1", first.id, "M2")
        assert (ledger.best(of_all=True), ledger.counts(), ledger.incumbent(1)) == before
        assert first.config_text == "64d/2L n_head=2 rope_base=500 tied=True"
        assert (first.config, first.reason) == (TOLD, "taken in from a folder")
        assert (first.n_params, first.val_loss, first.corpus_id) == (CONFIG.n_params, None, None)
        row = next(one for one in ledger.experiments() if one["ID"] == "M1")
        assert (row["Params"], row["Status"], row["val_loss"]) == ("196.9k", "Imported", "-")
        assert ledger.events(1)[0].message == "M2 taken in from a folder"
