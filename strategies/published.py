"""The recipes of the published log as runs of this engine: what its cells say, and the rest.

A cell says shape, optimizer, rate, clipping and steps; batch, context, schedule and warm-up are not
told, and are the default here. The log's text on 100 stories has no row: it is the recipe of the
row on 5 stories on so many more.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.config import Config
from engine.errors import ConfigError

UNTOLD = {"optimizer": "adamw", "lr": 3e-4}  # of a row that names neither, as its neighbour μ1
STEPS = 500  # where a row diverged before it could tell, and on 100 stories
MORE = 100  # stories of the claim that has no row
STORIES = re.compile(r"\b(\d+)-story\b")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One published row, or claim, as a run."""

    name: str  # the row's label
    config: Config
    steps: int
    n_stories: int | None  # it is trained on; None: the whole text
    told: str  # the row's Config cell

    @property
    def budget_tokens(self) -> int:
        return self.steps * self.config.tokens_per_step


def recipes(rows: Sequence[tuple[str, Mapping[str, Any], int | None, str]],
            base: Config) -> list[Recipe]:
    """Recipes of rows (label, told fields, steps, Config cell) in the base, and of the claim.

    Raises ConfigError where a row's fields are none of a configuration.
    """
    found = []
    for label, told, steps, cell in rows:
        try:
            config = Config.from_dict(base.to_dict() | UNTOLD | dict(told))
        except ConfigError as error:
            raise ConfigError(f"the published row {label} is no recipe: {error}") from error
        stories = STORIES.search(cell)
        found.append(Recipe(label, config, steps or STEPS, int(stories[1]) if stories else None,
                            cell))
    on_few = next((one for one in found if one.n_stories), None)
    if on_few:
        found.append(Recipe(f"{MORE} stories", on_few.config, STEPS, MORE,
                            on_few.told.replace(f"{on_few.n_stories}-story", f"{MORE}-story")))
    return found
