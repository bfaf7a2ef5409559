"""What /proc/cpuinfo of real machines is taken for."""

import platform

import pytest

from agent.machine import processor

# As these machines print it, shortened to one core of each kind.
XEON = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Xeon(R) CPU @ 2.20GHz
"""
PI = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1
"""
LITTLE = PI.replace("0xd0b", "0xd05")
OLDER = LITTLE + PI + "\nHardware\t: Qualcomm Technologies, Inc SM8250\n"


def core(designer: str, part: str) -> str:
    return f"CPU implementer\t: {designer}\nCPU part\t: {part}\n"


@pytest.mark.parametrize(("cpuinfo", "name"), [
    (XEON, "Intel(R) Xeon(R) CPU @ 2.20GHz"), (PI, "Cortex-A76"),
    (OLDER, "Qualcomm Technologies, Inc SM8250"),
    (core("0x41", "0xd0c"), "Neoverse N1"), (core("0x61", "0x022"), "Apple core 0x22"),
    (core("0x51", "0x804"), "Qualcomm core 0x804"), (core("0x99", "0x1"), "0x99 core 0x1"),
    (core("what", ""), "core what")])
def test_a_processor_has_the_name_it_says_or_that_of_its_cores(cpuinfo: str, name: str) -> None:
    assert processor.name(cpuinfo) == name


def test_cores_that_sleep_or_lie_in_another_order_change_nothing() -> None:
    assert processor.name(LITTLE * 4 + PI * 4) == "Cortex-A55 + Cortex-A76"
    assert processor.name(PI + LITTLE) == processor.name(LITTLE * 4 + PI)


@pytest.mark.parametrize("cpuinfo", ["", "\0\0", "model name\t:\n", "CPU implementer\t: 0x41\n"])
def test_what_says_nothing_is_its_architecture(cpuinfo: str) -> None:
    assert processor.name(cpuinfo) == platform.machine()
