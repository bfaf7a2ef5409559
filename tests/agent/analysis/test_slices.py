"""Slices: one field at a time, on its own scale."""

from agent.analysis.slices import slices_of
from engine.config import Config
from tests.support.run_rows import row

ROWS = [row(1, Config(lr=1e-3, optimizer="adamw", beta1=0.9), val_bpb=1.3),
        row(2, Config(lr=1e-2, optimizer="lion", beta1=0.95), val_bpb=1.4),
        row(3, Config(lr=2e-3, tied=True), val_bpb=1.2),
        row(4, Config(lr=1.0), state="failed", val_bpb=None)]


def test_fields_with_two_values_have_a_slice_with_a_scale_of_their_own() -> None:
    found = {one.name: one for one in slices_of(ROWS, Config(lr=2e-3).to_dict(), [])}
    assert set(found) == {"lr", "optimizer", "beta1", "tied"}
    assert {name: one.kind for name, one in found.items()} == {
        "lr": "log", "optimizer": "choice", "beta1": "linear", "tied": "choice"}
    assert found["lr"].points == [(1e-3, 1.3), (1e-2, 1.4), (2e-3, 1.2)]
    assert (found["lr"].best, found["lr"].best_at) == ("2e-3", 2e-3)
    assert (found["optimizer"].choices, found["optimizer"].best_at) == (["AdamW", "Lion"], 0.0)


def test_sizes_that_follow_others_stand_beside_those_that_were_given() -> None:
    rows = [row(1, Config(n_embd=64, n_head=4), val_bpb=1.3),
            row(2, Config(n_embd=64, n_head=4, n_hidden=200), val_bpb=1.2),
            row(3, Config(n_embd=48, n_head=4, n_kv_head=2), val_bpb=1.1)]
    found = {one.name: one for one in slices_of(rows, Config(n_embd=64, n_head=4).to_dict(), [])}
    assert found["n_hidden"].points == [(256.0, 1.3), (200.0, 1.2), (192.0, 1.1)]
    assert found["n_hidden"].best_at == 256.0
    assert found["n_kv_head"].points == [(4.0, 1.3), (4.0, 1.2), (2.0, 1.1)]
    assert "n_hidden" not in {one.name for one in slices_of([rows[0], rows[2]], None, [])}


def test_the_most_important_come_first_and_no_winner_is_no_mark() -> None:
    found = slices_of(ROWS, None, ["tied", "lr"])
    assert [one.name for one in found][:2] == ["tied", "lr"]
    assert {one.best_at for one in found} == {None}


def test_a_field_of_another_version_is_left_alone() -> None:
    rows = [row(1, config='{"lr": 0.001, "new_field": 1}'), row(2, config='{"new_field": 2}')]
    assert slices_of(rows, {}, []) == []
