"""Text files are read as people write them, and what is wrong is said with its place."""

from pathlib import Path

import pytest

from engine.errors import CorpusError
from engine.text.textfile import parse, read_bytes

TXT, JSONL = Path("tales.txt"), Path("tales.jsonl")


# --- what is read ----------------------------------------------------------------------------


def test_stories_are_parted_stripped_and_kept_when_not_empty():
    data = b"\n One.\n\nStill one. <|endoftext|>\n<|endoftext|> \t<|endoftext|>Two."

    assert parse(data, TXT) == ["One.\n\nStill one.", "Two."]


def test_bytes_inside_a_story_are_kept():
    assert parse("a\r\nb\u2028c\x00d<|endoftext|>é".encode(), TXT) == ["a\r\nb\u2028c\x00d", "é"]


def test_the_byte_order_mark_of_an_editor_is_no_text():
    assert parse(b"\xef\xbb\xbfOne.<|endoftext|>Two.", TXT) == ["One.", "Two."]


def test_every_line_of_jsonl_is_a_story():
    data = b'{"text": " One.\\n"}\n\n{"id": 7, "text": "Tw\\u00f6."}\r\n{"text": ""}'

    assert parse(data, JSONL) == ["One.", "Twö."]


def test_a_line_separator_within_json_does_not_end_its_line():
    assert parse('{"text": "a\u2028b"}\n'.encode(), JSONL) == ["a\u2028b"]


def test_a_separator_within_json_parts_stories():
    assert parse(b'{"text": "One.<|endoftext|>Two."}', JSONL) == ["One.", "Two."]


def test_the_kind_of_a_file_is_told_whatever_its_case(tmp_path):
    path = tmp_path / "tales.JSONL"
    path.write_bytes(b'{"text": "One."}')

    assert parse(read_bytes(path), path) == ["One."]


# --- what is refused -------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"there is no file .*/no\.txt; give the path of a \.txt"):
        read_bytes(tmp_path / "no.txt")


def test_a_folder_is_no_file(tmp_path):
    (tmp_path / "tales.txt").mkdir()

    with pytest.raises(CorpusError, match=r"cannot read .*/tales\.txt: Is a directory"):
        read_bytes(tmp_path / "tales.txt")


@pytest.mark.parametrize("name", ["tales.csv", "tales", "builtn"])
def test_an_unknown_kind_of_file_is_refused_with_the_known_ones(name, tmp_path):
    path = tmp_path / name
    path.write_text("a story")
    with pytest.raises(CorpusError, match=rf"{name} is not a \.txt with <\|endoftext\|> between "
                                          r"stories nor a \.jsonl .* builtin or tinystories"):
        read_bytes(path)


def test_a_name_of_no_file_is_told_so_and_not_what_kind_it_is():
    with pytest.raises(CorpusError, match="there is no file builtn; give the path of a .txt or"):
        read_bytes(Path("builtn"))


@pytest.mark.parametrize(("data", "said"), [
    (b"", "is empty; put text into it, or name another file"),
    (b" \n", "holds only white space; put text into it"),
    (b"\xef\xbb\xbf", "holds only white space"),
    (b"<|endoftext|>\n<|endoftext|>", r"holds no story; put text into it, with <\|endoftext\|> ")])
def test_a_text_without_stories_is_refused(data, said):
    for path in (TXT, JSONL):
        with pytest.raises(CorpusError, match=rf"{path} {said}" if path == TXT else "tales"):
            parse(data, path)


def test_bytes_that_are_no_utf8_are_refused_with_their_offset():
    with pytest.raises(CorpusError, match=r"tales\.txt is not UTF-8: byte 0xff at offset 5; save"):
        parse("äöa".encode() + b"\xff!", TXT)


@pytest.mark.parametrize(("line", "reason"), [
    (b'{"text": "One."', "Expecting ',' delimiter"),
    (b"One.", "Expecting value"),
    (b"[" * 100_000, "nested too deep"),
])
def test_a_line_that_is_no_json_is_refused_with_its_number(line, reason):
    with pytest.raises(CorpusError, match=rf"tales\.jsonl line 3 is not JSON: {reason}; write "):
        parse(b'{"text": "One."}\n\n' + line, JSONL)


@pytest.mark.parametrize("line", [b'{"story": "One."}', b'{"text": 7}', b'{"text": null}',
                                  b'"text"', b"[1]"])
def test_a_line_without_text_is_refused_with_its_number(line):
    with pytest.raises(CorpusError, match=r'tales\.jsonl line 2 has no "text" that is a string; '):
        parse(b'{"text": "One."}\n' + line, JSONL)


def test_half_a_character_in_json_is_refused():
    with pytest.raises(CorpusError, match=r"line 1 holds the lone surrogate '\\ud800', which no"):
        parse(b'{"text": "a\\ud800"}', JSONL)


# --- other encodings and kinds ---------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(encoding):
    assert parse("Ünï.<|endoftext|>Two 🐢.".encode(encoding), TXT) == ["Ünï.", "Two 🐢."]


@pytest.mark.parametrize(("data", "said"), [
    ("caf\xe9".encode("cp1252"), "not UTF-8: byte 0xe9 at offset 3; save it as UTF-8, such as with "
                                 "iconv -f WINDOWS-1252 -t UTF-8"),
    ("Once upon".encode("utf-16-le"), "is 50% zero bytes: UTF-16 without its mark, or no text; "
                                      "save it as UTF-8, such as with iconv -f UTF-16LE -t UTF-8"),
    (b"\xff\xfea", "is not UTF-16"), (b"%PDF-1.4 \xff", "is a PDF and no plain text"),
    (b"PK\x03\x04\xff", "is a zip"), (b"\x1f\x8b\xff", r"is a \.gz")])
def test_bytes_that_are_no_text_are_refused_with_what_makes_them_one(data, said):
    with pytest.raises(CorpusError, match=rf"tales\.txt {said}|tales\.txt is {said}"):
        parse(data, TXT)


@pytest.mark.parametrize(("name", "how"), [
    ("a.html", "w3m -dump a.html > a.txt"), ("a.epub", "pandoc -t plain a.epub -o a.txt"),
    ("a.PDF", "pdftotext a.PDF a.txt"), ("a.zip", "unpack it, and give the folder"),
    ("a.tar.gz", "unpack it, and give the folder"), ("a.docx", "pandoc -t plain")])
def test_what_holds_text_in_something_else_is_refused_with_what_takes_it_out(tmp_path, name, how):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CorpusError, match=rf"is no plain text; take its text out first: {how}"):
        read_bytes(tmp_path / name)


@pytest.mark.parametrize("name", ["diary.md", "engine.py", "tales.TXT", "main.rs"])
def test_plain_text_of_other_names_is_read(tmp_path, name):
    (tmp_path / name).write_text("Once.")

    assert parse(read_bytes(tmp_path / name), Path(name)) == ["Once."]
