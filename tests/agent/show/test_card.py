"""The card of an exported model: what it must say, and that nobody's words break it."""

import dataclasses
import re

import pytest
from markdown_it import MarkdownIt

from agent.analysis.card import CardFacts, facts_of
from agent.ledger.find import find_run
from agent.ledger.ledger import Ledger
from agent.show.card import FRONT, model_card
from engine.config import Config
from tests.support import example_ledger as example


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> CardFacts:
    path = tmp_path_factory.mktemp("card") / "ledger.db"
    path.write_bytes(example.filled())
    with Ledger.open(path, read_only=True) as ledger:
        return facts_of(ledger, find_run(ledger, "E1"))


def test_it_says_what_it_is_how_good_on_what_and_how_it_was_found(facts: CardFacts) -> None:
    card, run = model_card(facts, Config.from_dict(facts.run.config), "hf", 1234), facts.run
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert f"# E1: {run.config_text}\n" in card
    assert "This is its state after 1,234 steps" in card
    assert f"**{run.val_bpb:.4f} bits per byte**" in card
    assert "One seed was run, so there is no interval" in card
    assert facts.corpus is not None
    assert f"| text | {facts.corpus.text_sha256} |" in card
    assert "The program that wrote this card wrote that text, too" in card
    assert f"Hash `{run.config_hash}`." in card
    assert f"| lr | {run.config['lr']} |" in card
    assert "| trigram | " in card
    steps = [step.run.label for step in facts.lineage.steps]
    assert re.findall(r"^\| ([A-Z]\d+) \|", card, re.M) == steps
    assert len(steps) > 1
    assert "starting point" in card


def test_of_a_person_s_text_the_licence_is_not_known(facts: CardFacts) -> None:
    assert facts.corpus is not None
    theirs = dataclasses.replace(facts, corpus=dataclasses.replace(facts.corpus, source="file"))
    assert "The licence of that text is unknown" in model_card(theirs, Config(), "npz", 1)


def test_seeds_give_an_interval_and_a_choice_is_owned_up_to(facts: CardFacts) -> None:
    seeds = dataclasses.replace(facts, scores_bpb=(1.0, 1.2), mean_bpb=1.1, low_bpb=0.9,
                                high_bpb=1.3, n_tried=40)
    card = model_card(seeds, Config(), "gguf", 1)
    assert card.startswith("# E1")
    assert ("Over 2 seeds of this configuration: 1.1000 bits per byte, 95 % interval of the mean "
            "0.9000 to 1.3000.") in card
    assert "chosen among 40 runs on this very text: its own score there flatters it" in card
    assert "llama-completion -m model.gguf" in card
    shards = dataclasses.replace(facts.run, confirm_bpb=1.25, test_bpb=None)
    card = model_card(dataclasses.replace(seeds, run=shards), Config(), "npz", 1)
    assert "on text that did not choose it: the text that confirms 1.2500.\n" in card
    assert 'np.load("model.npz")' in card


def test_words_of_a_person_stay_in_their_place(facts: CardFacts) -> None:
    rude = "a | b\n# heading\n\x1b[2J" + "x" * 10_000
    run = dataclasses.replace(facts.run, reason=rude, config_text=rude, device=rude)
    card = model_card(dataclasses.replace(facts, run=run), Config(), "hf", 1)
    assert "\x1b" not in card
    assert [line for line in card.splitlines() if line.startswith("# ")] == [
        next(line for line in card.splitlines() if line.startswith("# E1"))]
    assert len(card) < 20_000


def test_what_is_not_known_is_said_to_be_unknown(facts: CardFacts) -> None:
    run = dataclasses.replace(facts.run, source="published", val_bpb=None, seed=None,
                              config={"n_embd": 64}, config_hash=None)
    card = model_card(dataclasses.replace(facts, run=run, corpus=None, mean_bpb=None), Config(),
                      "hf", 0)
    for said in ("Its loss was not measured here.", "It was not trained here",
                 "Which text it was trained on is unknown, and so is the licence of that text."):
        assert said in card
    assert "| n_embd | 128 |" in card
    assert "| lr |" not in card


def parsed(card: str) -> tuple[list[str], set[str], list[int]]:
    """What a program that reads Markdown finds: headings' levels, kinds of all tokens, and cells
    a row.
    """
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(card)
    every = [one for token in tokens for one in (token, *(token.children or ()))]
    cells = [0]
    for one in every:
        cells += [0] if one.type == "tr_open" else []
        cells[-1] += one.type in ("td_open", "th_open")
    return ([one.tag for one in tokens if one.type == "heading_open"],
            {one.type for one in every}, cells)


@pytest.mark.parametrize("rude", [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a | b | c", "x\n\n# Not a title",
    "![x](https://example.org/x.png)", "[x](javascript:alert(1))", "`` `a` ``", "**b** _i_ ~~s~~",
    "---", "# h", "- item", "1. item", "1) item", "> quote", "=== ", "+ x", '"quoted" \'text\'',
    "key: [yaml, {x: y}] # no", "&lt;b&gt; &#60;b>", "\\| \\", "[ref]: https://example.org",
    "<https://example.org>", "\u202eevil", "${{ x }} {% x %}"])
@pytest.mark.parametrize("to", ["hf", "npz"])
def test_no_word_of_anybody_becomes_markup(facts: CardFacts, rude: str, to: str) -> None:
    """Read by markdown-it: the same headings, tables and kinds as with plain words, no HTML."""
    def of(text: str) -> tuple[list[str], set[str], list[int]]:
        assert facts.corpus is not None
        run = dataclasses.replace(facts.run, label=text, reason=text, config_text=text, device=text,
                                  code_version=text, strategy=text)
        corpus = dataclasses.replace(facts.corpus, name=text, source=text)
        steps = [dataclasses.replace(one, changes=text, verdict=text, claim=text,
                                     run=dataclasses.replace(one.run, label=text))
                 for one in facts.lineage.steps]
        lineage = dataclasses.replace(facts.lineage, steps=steps)
        card = model_card(dataclasses.replace(facts, run=run, corpus=corpus, lineage=lineage,
                                              verdict=text), Config(), to, 1)  # type: ignore[arg-type]
        return parsed(card.removeprefix(FRONT))

    found, plain = of(rude), of("plain")
    assert (found[0], found[2]) == (plain[0], plain[2])
    assert len(plain[2]) > 30  # rows, most of them of the configuration
    assert {"table_open", "td_open"} <= plain[1]
    assert found[1] - {"text_special", "entity"} <= plain[1]
