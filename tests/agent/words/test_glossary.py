"""The words of the screen: each is explained, and near misses are understood."""

from typing import get_args

import pytest

from agent.ledger.records import LABEL_LETTERS, State, Verdict
from agent.words.glossary import GLOSSARY, explained
from engine.errors import UserError


def test_every_state_and_verdict_is_explained() -> None:
    assert {*get_args(State), *get_args(Verdict)} <= GLOSSARY.keys()


def test_a_run_is_no_word_and_its_command_is_named() -> None:
    for label in ("E12", "b1", "E3c"):
        with pytest.raises(UserError, match=f"{label.upper()} is a run: `agent show"):
            explained(label)


def test_a_word_is_found_as_a_person_types_it() -> None:
    assert explained("SILENT  TEST")[0] == "silent test"
    assert explained("sf-adamw")[0] == "SF-AdamW"
    assert explained("claims") == ("claim", GLOSSARY["claim"])


def test_a_label_letter_alone_is_explained() -> None:
    for letter in {*LABEL_LETTERS.values(), "E", "M"}:
        assert explained(letter)[0] == "label"


def test_a_word_that_is_none_names_its_neighbours() -> None:
    with pytest.raises(UserError, match="'prunned' is no word .*; did you mean pruned"):
        explained("prunned")
    with pytest.raises(UserError, match="`agent explain` lists all"):
        explained("qqq")


def test_bits_per_byte_is_what_stands_on_the_screen() -> None:
    assert explained("Bits per byte")[0] == "bits/byte"
