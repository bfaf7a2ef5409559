"""What a machine gives to a cluster."""

from agent.trial.cluster.options import Options


def test_nothing_said_is_what_a_night_here_would_take() -> None:
    assert Options() == Options(limits=None, max_ram_mb=None, is_watched=True)
