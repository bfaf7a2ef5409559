"""Every field and every strategy has its sentence, found by each of its names."""

from dataclasses import fields

from agent.words.glossary import GLOSSARY, explained
from agent.words.settings import FIELDS
from engine.config import Config
from strategies import STRATEGIES
from strategies.base import TITLES


def test_every_field_is_explained_by_its_name_and_by_that_of_the_screen() -> None:
    assert {name: title for name, (title, _) in FIELDS.items()} == dict(TITLES)
    assert FIELDS.keys() == {one.name for one in fields(Config)}
    for name, (title, meaning) in FIELDS.items():
        assert explained(name)[1] == meaning
        if title not in GLOSSARY:
            assert explained(title)[1] == meaning


def test_every_strategy_and_kind_of_run_is_explained() -> None:
    assert {explained(name)[0] for name in STRATEGIES} == set(STRATEGIES)
    for kind in ("baseline", "confirm", "ablate", "grid", "hand", "harvest"):
        assert explained(kind)[1]
