"""What the daemon leaves of the guard's present word, and when: see present.py for the file."""

import dataclasses
from pathlib import Path

from agent.machine import Clock, Present, Readings, Value, Word, in_words, present
from agent.night.night import Night
from engine.errors import UserError

EVERY_S = 60.0  # at least so often it is left, so that its age tells whether the daemon ticks
SOONEST_S = 5.0  # readings alone are no reason to write at each tick
NOTICEABLE = 0.05  # of a reading; what moves less can wait for its minute


def of_night(night: Night) -> Present:
    """The guard's word on this night: the machine's first, then that on memory."""
    look = night.watch.last if night.watch else None
    memory = _of_trials(night) if night.slots.trials else night.ground.word or night.waits_for
    word = Word(True, "nothing is in the way")
    if night.watch and look is None:
        word = Word(False, "the sensors have not answered yet", cause="sensors")
    elif look and not look.word.is_go:
        word = look.word
    elif memory and not memory.is_go:
        word = memory
    readings: dict[str, Value] = {**(look.readings if look else {}),
                                  **(memory.readings if memory else {})}
    told = [in_words(Readings(**look.readings))] if look else []
    told += [_memory(memory.readings, len(night.slots.trials))] if (
        memory and memory.readings) else []
    return Present(at=night.clock.stamp(), word="go" if word.is_go else "waits", cause=word.cause,
                   reason=word.reason, told="; ".join(told), readings=readings,
                   search=night.campaign.standing)


def _of_trials(night: Night) -> Word | None:
    """The first word that is none to go on, or else that on all of them together."""
    words = [trial.word for trial in night.slots.trials if trial.word]
    found = next((word for word in words if not word.is_go), words[-1] if words else None)
    if found is None or len(words) < 2:
        return found
    together_mb = sum(word.readings.get("group_mb") or 0.0 for word in words)
    return dataclasses.replace(found, readings=found.readings | {"group_mb": together_mb})


def _memory(readings: dict[str, float | None], n: int) -> str:
    """the run takes 102 MB, 5,000 MB free, 900 MB of swap free."""
    names = {"group_mb": "the run takes {} MB" if n < 2 else "the runs take {} MB",
             "predicted_mb": "the next run needs {} MB",
             "free_mb": "{} MB free", "swap_free_mb": "{} MB of swap free"}
    return ", ".join(form.format("unknown" if readings[name] is None else f"{readings[name]:,.0f}")
                     for name, form in names.items() if name in readings)


class Bulletin:
    """Leaves the present word when it changes, and once a minute."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._left: Present | None = None
        self._left_s = 0.0

    def post(self, night: Night) -> None:
        """Call at each tick. A disk that takes no file is no reason to stop a night: the age of
        the old word tells.
        """
        found, now_s = of_night(night), self._clock.boot()
        if self._left and not _is_due(self._left, found, now_s - self._left_s):
            return
        self._left, self._left_s = found, now_s
        try:
            present.write(self._path, found)
        except (UserError, OSError):
            return


def _is_due(old: Present, new: Present, age_s: float) -> bool:
    if age_s >= EVERY_S or (
            (old.word, old.cause, old.search) != (new.word, new.cause, new.search)):
        return True
    return age_s >= SOONEST_S and (old.readings.keys() != new.readings.keys() or any(
        _has_moved(old.readings[name], value) for name, value in new.readings.items()
        if name != "battery_age_s"))


def _has_moved(old: Value, new: Value) -> bool:
    if old is None or new is None or isinstance(new, bool):
        return old is not new
    return abs(new - old) > NOTICEABLE * abs(old)
