"""The colours: enough contrast, on light ground and on dark."""

import pytest

from agent.show.page.marks import N_KINDS
from agent.show.page.style import _DARK, _LIGHT, FILE_STYLE, PAGE_STYLE


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.1 defines it."""
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [_LIGHT, _DARK])
def test_text_and_marks_stand_out_from_their_ground(colours: tuple[str, ...]) -> None:
    paper, ink, soft, _, *kinds = colours
    assert contrast(paper, ink) > 7
    assert contrast(paper, soft) > 4.5
    assert len(kinds) == N_KINDS
    assert all(contrast(paper, kind) >= 3 for kind in kinds)


def test_the_rules_follow_the_reader_and_print() -> None:
    assert "prefers-color-scheme:dark" in PAGE_STYLE
    assert "@media print" in PAGE_STYLE
    assert "prefers-color-scheme:dark" in FILE_STYLE
    assert PAGE_STYLE.count("{") == PAGE_STYLE.count("}")
    assert FILE_STYLE.count("{") == FILE_STYLE.count("}")
