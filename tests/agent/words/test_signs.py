"""Signs a terminal cannot show become what looks like them."""

import io

from agent.words.signs import in_ascii, is_narrow, register


def test_an_arrow_becomes_one_of_two_letters() -> None:
    assert in_ascii("16 → 4 ± 1 … ─│") == "16 -> 4 +- 1 ... -|"
    assert in_ascii("狐") == "?"


def test_which_encodings_lack_signs() -> None:
    assert [is_narrow(name) for name in ("utf-8", "ascii", "latin-1", "cp1252", None, "no-such")
            ] == [False, True, True, True, True, True]


def test_a_stream_of_another_encoding_takes_all_that_is_written() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors=register())
    stream.write("16 → 4 狐 ±")
    stream.flush()
    assert raw.getvalue() == b"16 -> 4 ? +-"
