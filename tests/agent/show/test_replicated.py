"""Published beside measured on a terminal."""

import pytest

from agent.analysis.replicated import Again, published_claims
from agent.show.replicated import lines

FOUND = [
    Again(name="B1", recipe="128d/4L Lion lr=3e-5", published_loss=6.17, published_vs=-0.013,
          published_end="finished", losses=[3.0, 3.2], versus=[-0.4, -0.36], learnt=[-0.4]),
    Again(name="E2", recipe="192d/6L AdamW lr=6e-4", published_loss=None, published_vs=None,
          published_end="diverged", n_waiting=2, losses=[3.0], versus=[-0.4])]


def test_a_row_has_both_losses_and_how_seeds_differ() -> None:
    row, fast = lines(FOUND, published_claims(FOUND), 100)[1:3]
    assert row.split() == ["B1", "128d/4L", "Lion", "lr=3e-5", "6.17", "-1.3%", "3.100", "±",
                           "0.100", "-38.0%", "2"]
    assert "diverged" in fast
    assert "1, 2 to go" in fast


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_goes_without_the_recipe(width: int) -> None:
    found = lines(FOUND, published_claims(FOUND), width)
    assert max(map(len, found)) <= width
    assert "Lion" not in found[1]


def test_each_finding_says_whether_it_stands() -> None:
    text = " ".join(lines(FOUND, published_claims(FOUND), 100))
    assert "Measured: B1 -38.0 %. It does not stand." in text
    assert "AdamW > Lion: after 300 steps AdamW is lower (μ1 6.37, μ2 6.56). Not known yet" in text
