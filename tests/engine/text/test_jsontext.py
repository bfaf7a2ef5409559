"""Text is taken out of JSON by its key, and what is broken is told by its number."""

import json
from pathlib import Path

import pytest

from engine.errors import CorpusError
from engine.text.jsontext import JsonText
from engine.text.textfile import parse

LINES, LIST = Path("tales.jsonl"), Path("tales.json")


def stories(data, path=LINES, **how):
    return parse(data, path, JsonText(**how))


@pytest.mark.parametrize(("line", "key"), [
    ('{"content": "One."}', "content"), ('{"a": {"b": "One."}}', "a.b"), ('{"a.b": "One."}', "a.b"),
    ('{"text": 1, "İ": "One."}', "İ")])
def test_the_text_stands_under_the_key_that_is_named(line, key):
    assert stories(line.encode(), key=key) == ["One."]


def test_a_wrong_key_names_those_that_hold_text():
    with pytest.raises(CorpusError, match=r'line 1 has no "body" that is a string; it has "title", '
                                          r'"text": name one with --key, or write \{"body": …\}'):
        stories(b'{"id": 7, "title": "T", "text": "One."}', key="body")


@pytest.mark.parametrize(("data", "key"), [
    (b'[{"text": "One."}, {"text": "Two."}]', None), (b' ["One.", "Two."]', None),
    (b'[{"c": "One."}, {"c": "Two."}]', "c"), (b'{"text": "One."}\n{"text": "Two."}', None),
    (b'{\n "text": "One.<|endoftext|>Two."\n}', None),
    ('\ufeff[{"text": "One."}, {"text": "Two."}]'.encode("utf-16-le"), None)])
def test_a_json_file_is_a_list_or_an_object_or_an_object_a_line(data, key):
    assert stories(data, LIST, key=key) == ["One.", "Two."]


@pytest.mark.parametrize(("data", "said"), [
    (b"[1, 2]", r'item 1 has no "text"'), (b"[", "is not JSON: Expecting value; give a list"),
    (b'[{"text": "One."}, {"text": 2}]', r'item 2 has no "text"'),
    (b"7", r'tales\.json has no "text"'), (b"{", r"line 1 is not JSON")])
def test_what_is_wrong_with_it_is_said(data, said):
    with pytest.raises(CorpusError, match=said):
        stories(data, LIST)


BROKEN = [b'{"text": "bro', b'{"other": 1}', b'{"text": "a\xff"}', b'{"text": "\\ud800"}',
          b"[" * 100_000, b"7", b"\xff\xfe"]


@pytest.mark.parametrize("line", BROKEN)
def test_a_broken_line_is_refused_by_its_number_or_passed_over_and_counted(line):
    data = b'{"text": "One."}\n' + line + b'\n{"text": "Two."}\n' + line
    with pytest.raises(CorpusError, match=r"tales\.jsonl"):
        stories(data)
    how = JsonText(skip_broken=True)

    assert parse(data, LINES, how) == ["One.", "Two."]
    assert how.broken.n == 2
    assert how.broken.first.startswith("tales.jsonl line 2 ")


def test_a_refusal_names_the_option_that_passes_it_over():
    with pytest.raises(CorpusError, match="line 1 is not JSON: .* pass it over with --skip-broken"):
        stories(BROKEN[0])


def test_items_of_a_list_are_passed_over_too():
    how = JsonText(skip_broken=True)

    assert parse(b'[{"text": "One."}, 3, {"text": null}]', LIST, how) == ["One."]
    assert how.broken.n == 2


def test_where_every_line_is_broken_the_first_is_told():
    with pytest.raises(CorpusError, match=r"holds no story, 2 broken ones passed over, the first: "
                                          r'tales\.jsonl line 1 has no "text" that is a string'):
        stories("\n".join([json.dumps({"body": "One."})] * 2).encode(), skip_broken=True)
