"""Packages with strategies as an installer leaves them: a module beside a .dist-info folder."""

from collections.abc import Mapping
from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n"


def a_package(folder: Path, name: str, points: Mapping[str, str] | str,
              modules: Mapping[str, str] | None = None, metadata: str | bytes = METADATA) -> None:
    """Install a package by hand.

    points   strategy → module:function, or the text of entry_points.txt
    modules  module → its text
    """
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True)
    text = metadata.format(name=name).encode() if isinstance(metadata, str) else metadata
    info.joinpath("METADATA").write_bytes(text)
    lines = points if isinstance(points, str) else "\n".join(
        ["[phi_auto.strategies]", *(f"{key} = {value}" for key, value in points.items())])
    info.joinpath("entry_points.txt").write_text(lines)
    for module, source in (modules or {}).items():
        folder.joinpath(f"{module}.py").write_text(source)
