"""Ask a wheel, with the standard library alone, whether its modules and data are the tree's."""

import sys
import zipfile
from pathlib import Path

PACKAGES = ("agent", "engine", "strategies")
KINDS = (".py", ".json", "py.typed")


def main(wheel: str, tree: str) -> int:
    """Exit status 0 when they are the same and every package says that it has types."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.endswith(KINDS)}
    wanted = {path.relative_to(tree).as_posix() for package in PACKAGES
              for path in Path(tree, package).rglob("*") if path.name.endswith(KINDS)}
    wanted |= {f"{package}/py.typed" for package in PACKAGES}
    for name in sorted(wanted - held):
        sys.stderr.write(f"not in the wheel: {name}\n")
    for name in sorted(held - wanted):
        sys.stderr.write(f"in the wheel, not in the tree: {name}\n")
    sys.stdout.write(f"{len(wanted & held)} of {len(wanted)} files are in the wheel\n")
    return 0 if held == wanted else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
