"""Cores of several speeds: what the kernel tells of them, and keeping to some."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping

import pytest

from agent.machine import affinity
from engine.errors import UserError

# Capacities as devices' trees give them, and the cores on which evenly shared work ends soonest.
PHONES = {
    "Pixel 6": ([250] * 4 + [620] * 2 + [1024] * 2, {4, 5, 6, 7}),  # 4 · 620 > 8 · 250 > 2 · 1024
    "four and four": ([400] * 4 + [1024] * 4, {4, 5, 6, 7}),
    "one, three and four": ([325] * 4 + [870] * 3 + [1024], {4, 5, 6, 7}),
    "six weak, two strong": ([350] * 6 + [1024] * 2, set(range(8))),  # 8 · 350 > 2 · 1024
    "all alike": ([1024] * 4, {0, 1, 2, 3}),
    "a laptop's turbo": ([5500000, 5700000, 5500000, 5700000], {0, 1, 2, 3}),
    "a tie": ([512, 512, 1024, 1024, 512, 512][:4], {2, 3}),  # 4 · 512 = 2 · 1024: the fewer
}


@pytest.fixture
def usable() -> Iterator[frozenset[int]]:
    before = affinity.usable()
    yield before
    os.sched_setaffinity(0, before)


def files(name: str, values: Mapping[int, str]) -> Callable[[str], str | None]:
    return {f"/sys/devices/system/cpu/cpu{core}/{name}": text
            for core, text in values.items()}.get


@pytest.mark.parametrize("phone", PHONES)
def test_the_set_whose_slowest_core_times_their_number_is_most(phone: str) -> None:
    capacity, expected = PHONES[phone]
    assert affinity.fast(dict(enumerate(capacity))) == expected


@pytest.mark.parametrize("phone", PHONES)
def test_no_other_set_ends_sooner(phone: str) -> None:
    capacity = dict(enumerate(PHONES[phone][0]))
    def worth(cores: set[int] | frozenset[int]) -> int:
        return len(cores) * min(capacity[core] for core in cores)
    best = max(worth({core for i, core in enumerate(capacity) if mask >> i & 1})
               for mask in range(1, 2 ** len(capacity)))
    assert worth(affinity.fast(capacity)) == best


def test_of_no_cores_there_are_none() -> None:
    assert affinity.fast({}) == frozenset()


def test_capacities_come_from_the_kernel_or_else_from_the_highest_clock() -> None:
    cores = frozenset({0, 1})
    assert affinity.capacities(cores, files("cpu_capacity", {0: "381\n", 1: "1024\n"})) == {
        0: 381, 1: 1024}
    assert affinity.capacities(cores, files("cpufreq/cpuinfo_max_freq", {
        0: "1800000\n", 1: "2800000\n"})) == {0: 1800000, 1: 2800000}


@pytest.mark.parametrize("told", [{0: "381"}, {0: "381", 1: ""}, {0: "381", 1: "0"},
                                  {0: "381", 1: "-5"}, {0: "381", 1: "many"}, {}])
def test_what_is_not_told_of_every_core_is_not_known(told: dict[int, str]) -> None:
    assert affinity.capacities(frozenset({0, 1}), files("cpu_capacity", told)) == {}


def test_this_machine_tells_of_all_its_cores_or_of_none() -> None:
    assert set(affinity.capacities(affinity.usable())) in (set(), affinity.usable())


@pytest.mark.parametrize(("cores", "text"), [
    ({0}, "0"), ({0, 1, 2, 3}, "0-3"), ({0, 2, 3, 7}, "0,2-3,7"), (set(), "")])
def test_cores_are_listed_as_the_kernel_lists_them(cores: set[int], text: str) -> None:
    assert affinity.listed(frozenset(cores)) == text


def test_what_is_listed_is_read_again(usable: frozenset[int]) -> None:
    assert affinity.read_cores(affinity.listed(usable)) == usable
    assert affinity.read_cores(f" {min(usable)} ") == {min(usable)}


@pytest.mark.parametrize("text", ["", ",", "fast", "1-", "-1", "3-1", "0,,1", "99999", "0x1", "٣"])
def test_what_names_no_cores_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="names no cores; give all, or numbers such as 4-7"):
        affinity.read_cores(text)


def test_a_core_that_is_not_there_is_named_with_those_that_are(usable: frozenset[int]) -> None:
    with pytest.raises(UserError, match=f"core 4000 is not one .* give some of "
                                        f"{affinity.listed(usable)}, or all"):
        affinity.read_cores("4000")


def test_children_keep_to_the_cores_they_were_given(usable: frozenset[int]) -> None:
    one = frozenset({max(usable)})
    with affinity.only(one) as is_had:
        assert is_had
        told = subprocess.run([sys.executable, "-c", "import os; print(os.sched_getaffinity(0))"],
                              capture_output=True, text=True, check=True).stdout
        assert told.strip() == str(set(one))
    assert affinity.usable() == usable


def test_what_the_system_refuses_changes_nothing(usable: frozenset[int]) -> None:
    assert not affinity.tie(frozenset({4000}))
    assert not affinity.tie(frozenset())
    assert affinity.usable() == usable
