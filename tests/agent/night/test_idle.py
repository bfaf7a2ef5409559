"""The benchmark of what idling costs reads what system and workers say. No time is asserted."""

from pathlib import Path

import pytest

from tests.bench import idle

STAT = ("4242 (python3 -m (a) b) S 1 4242 4242 0 -1 4194304 9000 0 0 0 250 50 7 7 20 0 3 0 1000 "
        "100000000 14000 18446744073709551615")
STATUS = "Name:\tpython3\nVmPeak:\t  900000 kB\nVmHWM:\t   70000 kB\nVmRSS:\t   50000 kB\n"
FOUND = {"rss_mb": 51.2, "cpu_pct": 0.1, "gap_s": 1.9, "gap_longest_s": 2.0, "gap_to_start_s": 1.2,
         "status_s": 0.2, "status_cpu_s": 0.15, "load": 3.0}


def test_processor_time_is_that_of_user_and_system() -> None:
    assert idle.cpu_s(STAT, 100) == 3.0


def test_resident_memory_is_in_millions_of_bytes() -> None:
    assert idle.rss_mb(STATUS) == 51.2


def log(runs: Path, run: str, *kinds: str, torn: str = "") -> None:
    (runs / run).mkdir(parents=True, exist_ok=True)
    lines = [f'{{"kind": "{kind}"}}\n' for kind in kinds]
    (runs / run / "events.jsonl").write_text("".join(lines) + torn)


def test_a_gap_is_from_the_end_of_a_run_to_the_first_step_of_the_next(tmp_path: Path) -> None:
    seen: idle.Seen = {}
    log(tmp_path, "measure", "start", "measured")
    log(tmp_path, "a", "start", "step", "step")
    idle.take_in(seen, tmp_path, 10.0)
    assert idle.gaps(seen) == []
    log(tmp_path, "a", "start", "step", "step", "done")
    idle.take_in(seen, tmp_path, 11.0)
    log(tmp_path, "b", "start", torn='{"kind": "st')
    idle.take_in(seen, tmp_path, 11.5)
    assert (idle.gaps(seen, "start"), idle.gaps(seen)) == ([0.5], [])
    log(tmp_path, "b", "start", "step")
    idle.take_in(seen, tmp_path, 12.25)
    log(tmp_path, "b", "start", "step", "step", "done")
    idle.take_in(seen, tmp_path, 20.0)
    assert idle.gaps(seen) == [1.25]
    assert seen["a"] == {"start": 10.0, "step": 10.0, "done": 11.0}


def test_the_table_tells_which_targets_are_missed() -> None:
    lines = idle.table(FOUND).splitlines()
    assert [line.split()[-1] for line in lines[:4]] == ["yes", "yes", "MISSED", "yes"]
    assert "1.90  < 1.5" in lines[2]
    assert lines[4].startswith("gap: longest 2.00 s, until the worker's start line 1.20 s; ")


@pytest.mark.parametrize(("changes", "status"), [({}, 1), ({"gap_s": 1.4}, 0)])
def test_the_exit_status_tells_whether_every_target_holds(
        changes: dict[str, float], status: int, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(idle, "measure_night", lambda home, seconds: FOUND | changes)
    monkeypatch.setattr(idle, "measure_status", lambda home: {})
    assert idle.main(["--json"]) == status
    assert '"rss_mb": 51.2' in capsys.readouterr().out


def test_a_night_that_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "PATIENCE_S", -1.0)
    with pytest.raises(SystemExit, match="^the night did not come so far within -1 s$"):
        idle.until(lambda: False, 0.0)
