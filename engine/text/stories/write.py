"""Short children's stories, as many as asked: a corpus for a machine without a network.

A story is a plot (plots.py, trials.py) told about a cast drawn for it:
who wants what, where, in which weather. What was said at the start decides what is true at the end,
so there is something to learn beyond the last few words.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cache, partial
from typing import Any, TypeVar

from engine.text.stories import plots as story_plots
from engine.text.stories import trials as story_trials
from engine.text.stories import words as words
from engine.text.stories.plots import COMMON, Plot, Row, read_tables

# Part of the key under which a corpus is cached: raise it whenever any story changes.
STORIES_VERSION = 1

PLOTS: tuple[Plot, ...] = story_plots.PLOTS + story_trials.PLOTS

T = TypeVar("T")


def write_stories(n: int, seed: int) -> Iterator[str]:
    """The first n stories of a seed; story i is the same however many are asked for."""
    for i in range(n):
        yield _write_story(_dice(seed, i))


def _write_story(dice: "Dice") -> str:
    """One row of each table for the whole story, then a cast that fits, then the telling."""
    tables, paragraphs = _read(dice.choose(PLOTS))
    row = dict(COMMON)
    for table in tables:
        row |= dice.choose(table)
    row |= dice.choose([w for w in words.WEATHERS if w["weather"] == row.get("weather")]
                       or words.WEATHERS)
    cast = _draw_cast(dice, row)
    texts = ["".join(_tell(paragraph, row, dice)) for paragraph in paragraphs]
    return _AN.sub(r"\1n \2", "\n\n".join(texts).format_map(cast))


_AN = re.compile(r"\b([Aa]) ([aeiou])")  # "a orange" → "an orange"; no plot says "a useful one"


class Dice:
    """SplitMix64 (Steele, Lea and Flood 2014): the same numbers in every Python and numpy."""

    def __init__(self, state: int) -> None:
        self._state = state & _MASK

    def roll(self) -> int:
        """A number below 2⁶⁴."""
        self._state = z = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
        return z ^ z >> 31

    def choose(self, options: Sequence[T]) -> T:
        return options[self.roll() * len(options) >> 64]

    def draw(self, options: Sequence[T], n: int) -> list[T]:
        """n different ones."""
        rest = list(options)
        return [rest.pop(self.roll() * len(rest) >> 64) for _ in range(n)]


_MASK = 2**64 - 1


def _dice(seed: int, index: int) -> Dice:
    """Dice of their own for every story: a roll hides how close two seeds or indices are."""
    return Dice(Dice(Dice(seed).roll() + index).roll())


# --- the cast --------------------------------------------------------------------------------

_PRONOUNS = {"he": ("he", "him", "his"), "she": ("she", "her", "her")}
_CHILD_CAN = "run"
_TWO_IN_FIVE = (True, True, False, False, False)  # those who could be children are


class Character:
    """Prints as its name; `{hero.his}`, `{hero.food}` and so on are what else a plot may ask."""

    def __init__(self, name: str, gender: str, kind: str, home: str, food: str, look: str) -> None:
        self.name, self.kind, self.home, self.food = name, kind, home, food
        self.he, self.him, self.his = _PRONOUNS[gender]
        self.himself = self.him + "self"
        self.He, self.His = self.he.capitalize(), self.his.capitalize()
        self.a = f"a {look} {kind}"
        self.full = name if kind in ("girl", "boy") else f"{name} the {kind}"

    def __str__(self) -> str:
        return self.name


class Thing:
    """What one does with it: `{thing.use}` says "it", `{thing.use_a}` names it; `used` is past."""

    def __init__(self, color: str, noun: str, use: str, used: str) -> None:
        self.color, self.noun, self.use, self.used = color, noun, use, used
        self.use_a = use.replace(" it", f" a {color} {noun}", 1)

    def __str__(self) -> str:
        return f"{self.color} {self.noun}"


class Place:
    """Where `{place.at}` says one is, with three spots: `first`, `second` and `hidden`."""

    def __init__(self, name: str, preposition: str, spots: Sequence[str]) -> None:
        self.name = name
        self.at = f"{preposition} {name}"
        self.first, self.second, self.hidden = spots
        self.At, self.Hidden = self.at.capitalize(), self.hidden.capitalize()

    def __str__(self) -> str:
        return self.name


class Word(str):
    """A plain word, with what else a plot may ask of it."""

    @property
    def Cap(self) -> str:
        return self.capitalize()

    @property
    def part(self) -> str:
        """What comes after "good": a Monday is a day."""
        return str(self) if self in ("morning", "afternoon") else "day"


def _draw_cast(dice: Dice, row: Row) -> dict[str, object]:
    able, unable = row.get("able", "").split(), row.get("unable", "").split()
    lacks = able + row.get("lacks", "").split()
    things, places = dice.draw(words.THINGS, 2), dice.draw(words.PLACES, 2)
    colors = dice.draw(words.COLORS, 2)
    elder, gender = dice.choose(words.ELDERS)
    character = partial(_draw_character, dice, set())
    return {
        "hero": character(unable, lacks),
        "friend": character(able[:1], unable),
        "third": character([], lacks),
        "fourth": character([], []),
        "elder": Character(elder, gender, "", "", "", ""),
        "thing": Thing(colors[0], *things[0]),
        "gift": Thing(colors[1], *things[1]),
        "place": _draw_place(dice, *places[0]),
        "place2": _draw_place(dice, *places[1]),
        "treats": Word(dice.choose(words.TREATS)),
        "time": Word(dice.choose(words.TIMES)),
    }


def _draw_place(dice: Dice, name: str, preposition: str, spots: Sequence[str]) -> Place:
    return Place(name, preposition, dice.draw(spots, 3))


def _draw_character(dice: Dice, taken: set[str], can: Sequence[str],
                    lacks: Sequence[str]) -> Character:
    """Somebody whose name and kind of animal are not yet `taken`; both are from then on."""
    gender = dice.choose(("he", "she"))
    name = _draw_new(dice, words.BOYS if gender == "he" else words.GIRLS, taken)
    child_fits = _CHILD_CAN not in lacks and set(can) <= {_CHILD_CAN}
    if child_fits and dice.choose(_TWO_IN_FIVE):
        home, food = dice.choose(words.CHILDREN)
        kind = "boy" if gender == "he" else "girl"
        return Character(name, gender, kind, home, food, dice.choose(words.CHILD_LOOKS))
    kind = _draw_new(dice, _kinds(frozenset(can), frozenset(lacks)), taken)
    home, food, looks = _ANIMALS[kind]
    return Character(name, gender, kind, home, food, dice.choose(looks))


_ANIMALS = {kind: (home, food, looks) for kind, home, food, _, looks in words.ANIMALS}


def _draw_new(dice: Dice, options: Sequence[str], taken: set[str]) -> str:
    while (option := dice.choose(options)) in taken:
        pass
    taken.add(option)
    return option


@cache
def _kinds(can: Collection[str], lacks: Collection[str]) -> list[str]:
    """The animals that can do all of the one and nothing of the other."""
    return [kind for kind, _, _, skills, _ in words.ANIMALS
            if set(can) <= set(skills.split()) and not set(lacks) & set(skills.split())]


# --- the telling -----------------------------------------------------------------------------

Template = list[Any]  # of str, _Entry, and tuples of templates to choose one from


class _Entry(str):
    """The key of a row, where its text goes."""


@cache
def _read(plot: Plot) -> tuple[list[list[Row]], list[Template]]:
    return read_tables(plot.tables), [_parse(text) for text in plot.text.split("\n\n")]


def _tell(template: Template, row: Row, dice: Dice) -> Iterator[str]:
    """The template with its choices made and its entries filled in; slots stay."""
    for part in template:
        if isinstance(part, tuple):
            yield from _tell(dice.choose(part), row, dice)
        elif isinstance(part, _Entry):
            yield from _tell(_parse(row[part]), row, dice)
        else:
            yield part


@cache
def _parse(text: str) -> Template:
    """Choices, which may be nested, and entries told from plain text; a line break is a space."""
    levels: list[list[Template]] = [[[]]]  # open brackets → their options so far → parts
    for token in re.findall(r"[\[\]|]|<\w+>|[^\[\]|<]+", " ".join(text.split())):
        if token == "[":
            levels.append([[]])
        elif token == "|":
            levels[-1].append([])
        elif token == "]":
            options = tuple(levels.pop())
            levels[-1][-1].append(options)
        else:
            levels[-1][-1].append(_Entry(token[1:-1]) if token[0] == "<" else token)
    return levels[0][0]
