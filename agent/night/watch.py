"""What a night asks the machine at each tick: may it work now, by battery, heat, disk and hour?"""

import dataclasses
from dataclasses import dataclass
from typing import Any

from agent.machine import Clock, Guard, Sensors, Window, Word, in_words


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the machine; `news` is what to tell, with the readings behind it."""

    word: Word
    news: list[str]
    readings: dict[str, Any]


class Watch:
    """The sensors and the limits of one night. A change of mind is told once, with its reading."""

    def __init__(self, sensors: Sensors, guard: Guard, clock: Clock, warns: bool) -> None:
        self._sensors, self._guard, self._clock = sensors, guard, clock
        self._owes_warnings = warns
        self.last: Look | None = None

    @property
    def window(self) -> Window | None:
        """The hours this night may work in."""
        return self._guard.limits.window

    @property
    def is_waiting(self) -> bool:
        """Whether the last word was to wait; not before the first."""
        return self.last is not None and not self.last.word.is_go

    def look(self) -> Look | None:
        """None while the first answer of the sensors is still awaited: nothing may start yet."""
        readings = self._sensors.poll(self._clock.seconds())
        if not self._sensors.is_settled:
            return None
        was_waiting, before = self.is_waiting, self.last
        word = self._guard.word(readings, self._clock.local_minutes(), was_waiting)
        news: list[str] = []
        if self._owes_warnings:
            news, self._owes_warnings = self._guard.warnings(readings), False
        if not word.is_go and (before is None or before.word.cause != word.cause):
            news.append(f"waits: {word.reason}")
        elif word.is_go and was_waiting:
            news.append(f"goes on: {in_words(readings)}")
        self.last = Look(word, news, dataclasses.asdict(readings))
        return self.last

    def close(self) -> None:
        self._sensors.close()
