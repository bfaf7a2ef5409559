"""How many processes the tests run in: what pytest is asked for decides."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest

ROOT = Path(__file__).parents[1]
WHOLE = "not slow and not chaos and not android and not browser"


def asked(monkeypatch: pytest.MonkeyPatch, *args: str, keyword: str = "", mark: str = WHOLE,
          capture: str = "fd") -> int:
    monkeypatch.setattr(conftest.container, "n_cores", lambda: 8)
    monkeypatch.setattr(conftest.guard, "free_mb", lambda: None)
    option = SimpleNamespace(keyword=keyword, markexpr=mark, capture=capture)
    config: Any = SimpleNamespace(option=option, args=args, getini=lambda _: ["-m", WHOLE, "-q"])
    return conftest.pytest_xdist_auto_num_workers(config)


def test_folders_are_worth_a_worker_a_core(
        monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    assert WHOLE in pytestconfig.getini("addopts")
    assert asked(monkeypatch, str(ROOT / "tests")) == 8


@pytest.mark.parametrize("how", [
    {"keyword": "night"}, {"mark": "chaos"}, {"capture": "no"}], ids=str)
def test_what_is_chosen_or_watched_is_not(monkeypatch: pytest.MonkeyPatch,
                                          how: dict[str, str]) -> None:
    assert asked(monkeypatch, str(ROOT / "tests"), **how) == 0


@pytest.mark.parametrize("name", [__file__, f"{__file__}::test_folders_are_worth_a_worker_a_core"])
def test_a_file_is_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert asked(monkeypatch, name) == 0
    assert asked(monkeypatch, str(ROOT / "tests"), name) == 0


@pytest.mark.parametrize(("n_cores", "free_mb", "n"), [
    (1, 9000.0, 0), (1, None, 0), (2, 9000.0, 2), (8, 3500.0, 3), (8, 1900.0, 0), (4, None, 4)])
def test_a_worker_has_a_core_and_memory_and_is_not_alone(
        n_cores: int, free_mb: float | None, n: int) -> None:
    assert conftest.n_workers(n_cores, free_mb) == n
