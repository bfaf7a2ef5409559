"""Control groups as Docker, Kubernetes, systemd and Slurm leave them, from files on paper."""

from collections.abc import Mapping

import pytest

from agent.machine import container, guard
from agent.machine.container import Memory

MB = 10**6
V2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = ("32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n")
HUGE = "9223372036854771712\n"


def v2(groups: Mapping[str, str], path: str = "/", mounts: str = V2) -> dict[str, str]:
    """Files of version 2: those of /a/b at a/b."""
    return {"/proc/self/cgroup": f"0::{path}\n", "/proc/self/mountinfo": mounts,
            **{f"/sys/fs/cgroup/{name}": text for name, text in groups.items()}}


def v1(groups: Mapping[str, str], path: str = "/", mounts: str = V1) -> dict[str, str]:
    lines = f"9:memory:{path}\n5:cpuset:{path}\n4:cpu,cpuacct:{path}\n1:name=systemd:/\n0::/\n"
    return {"/proc/self/cgroup": lines, "/proc/self/mountinfo": mounts,
            **{f"/sys/fs/cgroup/{name}": text for name, text in groups.items()}}


def held(limit: int | str, used: int = 100 * MB, cache: int = 0, at: str = "") -> dict[str, str]:
    return {f"{at}memory.max": f"{limit}\n", f"{at}memory.current": f"{used}\n",
            f"{at}memory.stat": f"anon 5\ninactive_file {cache}\nactive_file 7\n"}


def held_v1(limit: int | str, used: int = 100 * MB, at: str = "") -> dict[str, str]:
    return {f"memory/{at}memory.limit_in_bytes": f"{limit}\n",
            f"memory/{at}memory.usage_in_bytes": f"{used}\n",
            f"memory/{at}memory.stat": f"inactive_file 1\ntotal_inactive_file {10 * MB}\n"}


def test_a_limit_less_what_is_taken_is_what_is_free() -> None:
    assert container.memory(v2(held(512 * MB)).get) == Memory(512.0, 412.0)


def test_file_cache_that_is_not_in_use_can_be_taken_back() -> None:
    assert container.memory(v2(held(512 * MB, 500 * MB, 300 * MB)).get) == Memory(512.0, 312.0)


def test_a_group_over_its_limit_has_nothing_free() -> None:
    assert container.memory(v2(held(64 * MB, 90 * MB)).get) == Memory(64.0, 0.0)


def test_the_soft_limit_counts_where_it_is_the_lower() -> None:
    files = held(512 * MB) | {"memory.high": f"{256 * MB}\n"}
    assert container.memory(v2(files).get) == Memory(256.0, 156.0)
    high_alone = held("max") | {"memory.high": f"{256 * MB}\n"}
    assert container.memory(v2(high_alone).get) == Memory(256.0, 156.0)


@pytest.mark.parametrize("files", [
    {}, v2({}), v2(held("max")), v2({"memory.max": "max\n"}), v2({"memory.max": "\x00soon\n"}),
    v2(held("")), v2(held("max"), mounts="no mount at all\n"), {"/proc/self/cgroup": "garbage"},
    v1(held_v1(HUGE)), v1(held_v1("-1")), v1({})])
def test_no_limit_and_what_cannot_be_read_leave_the_machines_word(files: dict[str, str]) -> None:
    assert container.memory(files.get) == Memory()
    assert Memory().is_known


def test_a_limit_whose_use_is_hidden_is_unknown() -> None:
    found = container.memory(v2({"memory.max": f"{512 * MB}\n"}).get)
    assert (found, found.is_known) == (Memory(512.0, None), False)
    assert guard.free_mb(lambda: found) is None


def test_a_parent_with_less_left_than_its_child_is_what_counts() -> None:
    files = v2(held(512 * MB, at="pod/box/") | held(600 * MB, 550 * MB, at="pod/")
               | held("max"), "/pod/box")
    assert container.memory(files.get) == Memory(512.0, 50.0)
    free_child = v2(held("max", at="pod/box/") | held(600 * MB, at="pod/"), "/pod/box")
    assert container.memory(free_child.get) == Memory(600.0, 500.0)


@pytest.mark.parametrize(("path", "mounts"), [
    ("/docker/abc", V2.replace(" / /sys", " /docker/abc /sys")),  # the host's path, own mount
    ("/docker/abc", V2),  # the host's path, and a mount that does not show it
    ("/../../other", V2),  # of a namespace above ours
    ("/docker/abc", V2.replace(" / /sys", " /docker/ab /sys")),  # one that only begins alike
    ("/docker/abc", "")])  # no mounts to be read
def test_a_path_of_another_namespace_leads_to_what_is_mounted(path: str, mounts: str) -> None:
    assert container.memory(v2(held(512 * MB), path, mounts).get) == Memory(512.0, 412.0)


def test_a_group_is_found_below_the_part_of_the_tree_that_is_mounted() -> None:
    files = v2(held(100 * MB, 0, at="job/"), "/slurm/job",
               V2.replace(" / /sys", " /slurm /sys"))
    assert container.memory(files.get) == Memory(100.0, 100.0)


def test_version_1_counts_the_cache_of_the_groups_below_and_its_parents() -> None:
    files = v1(held_v1(HUGE) | held_v1(400 * MB, 390 * MB, at="user/")
               | held_v1(512 * MB, at="user/job/"), "/user/job")
    assert container.memory(files.get) == Memory(400.0, 20.0)


def test_a_hybrid_of_both_is_read_where_each_controller_lies() -> None:
    mounts = V1 + V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    files = v1(held_v1(512 * MB) | {"unified/cpu.max": "max 100000\n"}, mounts=mounts)
    assert container.memory(files.get) == Memory(512.0, 422.0)


def test_a_mount_point_with_a_space_is_found() -> None:
    mounts = V2.replace("/sys/fs/cgroup", "/sys/fs/my\\040groups")
    files = {"/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": mounts,
             "/sys/fs/my groups/memory.max": f"{MB}", "/sys/fs/my groups/memory.current": "0"}
    assert container.memory(files.get) == Memory(1.0, 1.0)


@pytest.mark.parametrize(("files", "found"), [
    (v2({"cpu.max": "150000 100000\n"}), 1.5), (v2({"cpu.max": "max 100000\n"}), None),
    (v2({"cpu.max": "0 0"}), None), (v2({}), None), (v2({"cpuset.cpus.effective": "0-3,6\n"}), 5.0),
    (v2({"cpuset.cpus.effective": "\n"}), None),
    (v2({"cpu.max": "400000 100000", "cpuset.cpus.effective": "0-1"}), 2.0),
    (v2({"a/cpu.max": "max 100000", "cpu.max": "50000 100000"}, "/a"), 0.5),
    (v1({"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}),
     None),
    (v1({"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}),
     2.5),
    (v1({"cpuset/cpuset.effective_cpus": "7\n"}), 1.0)])
def test_cores_are_those_of_the_quota_and_of_the_set(files: dict[str, str],
                                                     found: float | None) -> None:
    assert container.cpus(files.get) == found


@pytest.mark.parametrize(("quota", "cores"), [
    ("max", 8), ("1200000", 8), ("250000", 2), ("150000", 1), ("20000", 1)])
def test_replicas_are_whole_cores_of_the_quota_and_at_least_one(quota: str, cores: int) -> None:
    assert container.n_cores(v2({"cpu.max": f"{quota} 100000"}).get, 8) == cores


def test_the_guard_and_max_ram_go_by_the_container() -> None:
    allowed = Memory(400.0, 1.5)
    assert guard.free_mb(lambda: allowed) == 1.5
    assert guard.default_max_ram_mb(lambda: allowed) == 200.0
    assert not guard.may_launch(10.0, 200.0, guard.free_mb(lambda: allowed)).is_go


def test_a_file_that_is_not_there_is_none() -> None:
    assert container.read("/proc/self/no such file") is None
    assert container.read("/proc/self/cgroup")
