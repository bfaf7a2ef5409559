"""What every run stands on, Python, numpy and the text: whole, or broken since so many tries.

A worker that dies before it has looked at its configuration, or none to be had, says nothing of an
idea. The first time it is tried again at once, since most of it is mended on the way (a text is
made again from its source); from the second time in a row on with a growing pause.
"""

from agent import words
from agent.machine import Word

BACK_OFF_S = 5.0  # the first pause; doubled each time
MAX_TRIES = 8  # in a row, over ten minutes: a night that cannot work ends, and says so


class Ground:
    """Counts what keeps runs from beginning; `why` is the last reason, None while all is well."""

    def __init__(self) -> None:
        self.why: str | None = None
        self.n_tries = 0  # in a row that failed

    def broke(self, why: str) -> float | None:
        """Seconds until the next try; None where it was tried often enough."""
        self.why = words.one_line(why, 400)
        self.n_tries += 1
        if self.n_tries >= MAX_TRIES:
            return None
        return 0.0 if self.n_tries == 1 else BACK_OFF_S * 2.0 ** (self.n_tries - 2)

    def lacks(self, why: str) -> None:
        """Something that is waited for elsewhere, such as room on the disk, holds up the next run.
        """
        self.why = words.one_line(why, 400)

    def held(self) -> bool:
        """A worker has taken a step, so all is well; whether that is news."""
        was_broken, self.why, self.n_tries = self.n_tries > 0, None, 0
        return was_broken

    @property
    def word(self) -> Word | None:
        """For the guard's present word; None while nothing is in the way."""
        if self.n_tries == 0:
            return None
        return Word(False, f"held up: {self.why}", may_pass=True, cause="ground")

    def told(self, wait_s: float) -> str:
        """What is noted of a try that failed."""
        if wait_s == 0.0:
            return f"held up: {self.why}; tried again at once, and no run is blamed"
        return (f"held up: {self.why}; waits {words.duration(wait_s)} after {self.n_tries} tries "
                "in a row")
