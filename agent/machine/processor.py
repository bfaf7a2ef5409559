"""What a processor calls itself, from the text of /proc/cpuinfo.

x86 has a name there, and so have older phones. Other ARM kernels list numbers for each core: who
designed it, and which design it is. Two phones of different cores shall not be taken for one.
"""

import platform

NAMES = ("model name", "Hardware", "uarch", "cpu model")  # of x86, phones, RISC-V, MIPS
DESIGNER, DESIGN = "CPU implementer", "CPU part"
# Arm's own, by its Main ID Register's PartNum: the Technical Reference Manual of each design.
CORTEX = {0xD03: "A53", 0xD04: "A35", 0xD05: "A55", 0xD07: "A57", 0xD08: "A72", 0xD09: "A73",
          0xD0A: "A75", 0xD0B: "A76", 0xD0D: "A77", 0xD41: "A78", 0xD44: "X1", 0xD46: "A510",
          0xD47: "A710", 0xD48: "X2", 0xD4B: "A78C", 0xD4C: "X1C", 0xD4D: "A715", 0xD4E: "X3",
          0xD80: "A520", 0xD81: "A720", 0xD82: "X4", 0xD85: "X925", 0xD87: "A725"}
NEOVERSE = {0xD0C: "N1", 0xD40: "V1", 0xD49: "N2", 0xD4F: "V2", 0xD84: "V3", 0xD8E: "N3"}
ARM = 0x41
DESIGNERS = {0x41: "Arm", 0x46: "Fujitsu", 0x48: "HiSilicon", 0x4E: "NVIDIA", 0x51: "Qualcomm",
             0x53: "Samsung", 0x61: "Apple", 0xC0: "Ampere"}


def name(cpuinfo: str) -> str:
    """One line: its name, else its cores' designs, else its architecture.

    How many there are of each is not told: a phone's kernel leaves out those that sleep.
    """
    lines = [(key.strip(), value.strip()) for key, _, value in
             (line.partition(":") for line in cpuinfo.splitlines())]
    for key, value in lines:
        if key in NAMES and value:
            return value
    designs, designer = set(), ""
    for key, value in lines:
        if key == DESIGNER:
            designer = value
        elif key == DESIGN:
            designs.add(design(designer, value))
    return " + ".join(sorted(designs)) or platform.machine()


def design(designer: str, part: str) -> str:
    """Cortex-A76 of 0x41 and 0xd0b; the numbers themselves where they are not known."""
    try:
        by, number = int(designer, 16), int(part, 16)
    except ValueError:
        return f"core {designer[:20]} {part[:20]}".strip()
    if by == ARM and number in CORTEX:
        return f"Cortex-{CORTEX[number]}"
    if by == ARM and number in NEOVERSE:
        return f"Neoverse {NEOVERSE[number]}"
    return f"{DESIGNERS.get(by, hex(by))} core {number:#x}"
