"""Children's stories written by rule, as many as asked, for a machine without a network.

In come a number and a seed, out come stories, the same on every machine.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.text.stories.write import STORIES_VERSION as STORIES_VERSION
    from engine.text.stories.write import write_stories as write_stories

__all__, __getattr__ = doors(__name__, {
    "write": ("STORIES_VERSION", "write_stories"),
})
