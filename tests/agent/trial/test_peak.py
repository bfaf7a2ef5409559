"""Memory by the kernel's own count, beside what psutil reads of the same process."""

import os
from pathlib import Path

import psutil
import pytest

from agent.trial.peak import own_mb, peak_mb


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_the_peak_of_this_process_is_at_least_what_it_holds() -> None:
    held = psutil.Process().memory_info().rss / 1e6
    peak = peak_mb()
    assert peak is not None
    assert held * 0.9 < peak < 1e6


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="no smaps_rollup")
def test_what_a_process_holds_alone_is_its_unshared_part() -> None:
    own = own_mb(os.getpid())
    assert own is not None
    assert own == pytest.approx(psutil.Process().memory_full_info().uss / 1e6, rel=0.1)


def test_of_a_process_that_is_gone_nothing_is_told() -> None:
    assert own_mb(2**22 + 1) is None
