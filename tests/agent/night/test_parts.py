"""What `--unique` asks for: stories or tokens of a text, each part a text of its own."""

from pathlib import Path

import pytest

from agent.ledger.cells import part_sha256
from agent.ledger.ledger import Ledger
from agent.night.parts import Part, parse_part, parts_of, register_part, wholes_of
from engine.errors import ConfigError
from engine.text import corpus
from engine.text.corpus import TokenSet
from tests.engine.text.test_corpus import text_file
from tests.support.parts import NOW


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenSet:
    root = tmp_path_factory.mktemp("texts")
    return corpus.prepare_tokens(corpus.from_file(root, text_file(root / "text.txt", 40)), 300)


@pytest.mark.parametrize(("text", "part", "words"), [
    ("5s", Part("5s", n_stories=5), "5 stories"), ("1S", Part("1s", n_stories=1), "1 story"),
    (" 200k ", Part("200k", n_tokens=200_000), "200k tokens"), ("all", Part(), "all of the text")])
def test_stories_tokens_and_all(text: str, part: Part, words: str) -> None:
    assert parse_part(text) == part
    assert parse_part(text).words == words


@pytest.mark.parametrize("text", ["5x", "", "-5s", "s", "0", "5 s", "1.5s"])
def test_what_is_neither_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ConfigError, match="use 5s for 5 stories, 200k for tokens, or all"):
        parse_part(text)


@pytest.mark.parametrize("text", ["0s", "9999999999999999s"])
def test_no_story_and_too_many_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="has no story that a run could see"):
        parse_part(text)


def test_parts_are_of_the_text_and_what_holds_all_of_it_is_all(tokens: TokenSet) -> None:
    few, all_of_it = parts_of(["3s", "all", "999s", "3s"], tokens)
    assert few.n_tokens is not None
    assert 3 < few.n_tokens < tokens.n_tokens["train"]
    assert few.text_sha256 == part_sha256(tokens.corpus.sha256, few.n_tokens)
    assert all_of_it == Part(text_sha256=tokens.corpus.sha256)
    assert wholes_of(["3s", "all", "999s", "9M", "999s"], tokens) == ("999s", "9M")
    assert wholes_of(["999s"], None) == ()  # nothing is known of a text that is not made


def test_a_part_is_a_text_of_its_own_on_the_same_shards(tokens: TokenSet, tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        parts = parts_of(["3s", "all"], tokens)
        few, whole = (ledger.corpus(register_part(ledger, tokens, part, NOW)) for part in parts)
        assert (few.name, few.n_stories_train) == ("text, 3 stories", 3)
        assert few.text_sha256 != whole.text_sha256 == tokens.corpus.sha256
        assert few.search_sha256 == whole.search_sha256
        assert few.unigram_nats == whole.unigram_nats
