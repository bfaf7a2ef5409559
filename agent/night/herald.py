"""A word at the end: who asked for one is told what became of a night, and no night waits for it.

Told are the end of a night, each claim that fresh seeds confirmed, that the machine made it stop,
and that it was given up. Each letter is brought by a child (`messenger`); a tick looks whether it
has ended. What fails is told in the ledger, once for each way, without what may be a secret.
"""

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.ledger import Queries
from agent.machine import machine
from agent.night.messenger import DESKTOP, WHOLE_S, masked_url
from agent.words import one_line
from engine.errors import UserError

if TYPE_CHECKING:
    from agent.night.night import Night  # which a wish that names hooks comes before

VERSION = 1  # of a letter
PATIENCE_S = 10.0  # a night's end waits so long at most
AGAIN_S = 3600.0  # the machine's word is told again after that
MOST_WAYS = 4  # letters under way; more are dropped
USEFUL_BYTES = 4096  # of what a messenger says
LONGEST = 1000  # letters of a sentence in it
TITLES = {"night_over": "The night is over", "confirmed": "Confirmed",
          "stopped_by_guard": "The machine made it stop", "given_up": "The night was given up"}
_CONFIRMED = """
    SELECT d.id, r.label, d.reason FROM decisions d JOIN runs r ON r.id = d.run_id
    WHERE d.id > ? AND d.verdict = 'confirmed' AND json_extract(d.evidence, '$.with') IS NULL
    ORDER BY d.id"""

Summary = Callable[[Queries, str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who is told: a command, an address, the desktop; and what the morning's summary is."""

    summary: Summary
    command: str | None = None
    url: str | None = None
    is_on_desktop: bool = False

    def ways(self) -> Iterator[tuple[str, str]]:
        """Each way and where it leads."""
        if self.command is not None:
            yield "command", self.command
        if self.url is not None:
            yield "url", self.url
        if self.is_on_desktop:
            yield "desktop", ""


def has_desktop(environ: Mapping[str, str]) -> bool:
    """Whether a word can be shown there: a session, and the program that speaks to it."""
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")) and (
        shutil.which(DESKTOP) is not None)


def named(way: str, to: str) -> str:
    """A hook in words that hold no secret: the program's name, or the host's."""
    if way == "url":
        return f"--notify-url {masked_url(to)}"
    try:
        program = os.path.basename((shlex.split(to) or [""])[0])
    except ValueError:
        program = ""
    is_plain = program.isprintable() and "=" not in program and program
    return f"--notify {program}" if is_plain else "--notify"


@dataclass(slots=True)
class Letter:
    """One under way."""

    way: str
    to: str
    child: "subprocess.Popen[bytes]"
    sent_s: float


@dataclass(slots=True)
class Herald:
    """Sends letters of one night, and looks after them."""

    night: "Night"
    hooks: Hooks
    patience_s: float = PATIENCE_S
    _letters: list[Letter] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)  # ways whose failure is in the ledger
    _last_id: int = 0  # of the decisions that were looked at
    _was_held: bool = False
    _held_s: float | None = None  # when that was told

    def begin(self) -> None:
        """What was decided before this night is no news."""
        rows = self.night.ledger.rows("SELECT coalesce(max(id), 0) AS id FROM decisions")
        self._last_id = int(rows[0]["id"])

    def look(self) -> None:
        """Call at each tick: what happened is told, what was sent is looked after."""
        with self._harmless():
            self._collect()
            for row in self.night.ledger.rows(_CONFIRMED, self._last_id):
                self._last_id = int(row["id"])
                self.tell("confirmed", f"{row['label']}: {row['reason']}")
            self._look_at_machine()

    def end(self, event: str, message: str) -> None:
        """Tell how the night ended, and wait a little for what is under way."""
        with self._harmless():
            self.tell(event, message)
        with self._harmless():
            self._wait()

    def tell(self, event: str, message: str) -> None:
        """Send a word on its way; raises nothing of the hook's."""
        letters = [(way, to) for way, to in self.hooks.ways()]
        if not letters:
            return
        now = self.night.clock.stamp()
        text = one_line(message, LONGEST)
        body: dict[str, Any] = {"version": VERSION, "event": event, "at": now,
                                "title": TITLES[event], "text": text,
                                "home": str(self.night.home.root)}
        with self._harmless():
            body |= self.hooks.summary(self.night.ledger, now)
        for way, to in letters:
            if len(self._letters) >= MOST_WAYS * len(letters):
                self._failed(way, to, "too many letters are under way to it")
                continue
            try:
                self._letters.append(self._sent(way, to, body))
            except OSError as error:
                self._failed(way, to, f"no process could be started ({error.strerror})")

    # --- parts -------------------------------------------------------------------------------

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        """A word to a person is no reason for a night to fail."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 whatever a summary or a ledger breaks on
            with suppress(UserError):
                self._failed("summary", "", f"a word could not be made ({type(error).__name__})")

    def _look_at_machine(self) -> None:
        is_held, now_s = self.night.is_held, self.night.clock.boot()
        if is_held and not self._was_held and (
                self._held_s is None or now_s - self._held_s >= AGAIN_S):
            look = self.night.watch.last if self.night.watch else None
            self._held_s = now_s
            self.tell("stopped_by_guard", look.word.reason if look else "the sensors are silent")
        self._was_held = is_held

    def _sent(self, way: str, to: str, body: dict[str, Any]) -> Letter:
        with tempfile.TemporaryFile() as letter:
            letter.write(json.dumps({"way": way, "to": to, "body": body,
                                     "environ": dict(os.environ)}).encode())
            letter.seek(0)
            child = subprocess.Popen(
                machine.child("agent.night.messenger"), stdin=letter, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, start_new_session=True,
                env=machine.worker_environment())
        return Letter(way, to, child, self.night.clock.seconds())

    def _collect(self) -> None:
        """Take in what the messengers that have ended say."""
        for letter in list(self._letters):
            if letter.child.poll() is None:
                if self.night.clock.seconds() - letter.sent_s < 2 * WHOLE_S:
                    continue
                letter.child.kill()
                letter.child.wait()
            self._letters.remove(letter)
            self._take_in(letter)

    def _take_in(self, letter: Letter) -> None:
        assert letter.child.stdout is not None
        with letter.child.stdout as said:
            try:
                why = json.loads(said.read(USEFUL_BYTES))["why"]
            except (ValueError, KeyError, TypeError):
                why = "its messenger ended without a word"
        if why:
            self._failed(letter.way, letter.to, str(why))

    def _failed(self, way: str, to: str, why: str) -> None:
        """Told once for each way; a desktop that shows nothing is no news."""
        if way in self._told or way == "desktop":
            return
        self._told.add(way)
        name = "a word at the end" if way == "summary" else named(way, to)
        self.night.note("notify", f"{name}: {why}; the night is none the worse", {"way": way})

    def _wait(self) -> None:
        """At most so long in all; a command is ended then, a POST is left to its last tries."""
        until_s = self.night.clock.seconds() + self.patience_s
        for letter in list(self._letters):
            try:
                letter.child.wait(max(0.0, until_s - self.night.clock.seconds()))
            except subprocess.TimeoutExpired:
                self._letters.remove(letter)
                assert letter.child.stdout is not None
                letter.child.stdout.close()  # nobody is left to hear the rest
                if letter.way == "url":
                    self._failed(letter.way, letter.to, "it had not answered when the night was "
                                 "over; it is tried on for some seconds")
                else:
                    letter.child.terminate()
                    with suppress(subprocess.TimeoutExpired):
                        letter.child.wait(1.0)  # it ends what it started
                    self._failed(letter.way, letter.to, "it did not end within "
                                 f"{self.patience_s:g} s, and was ended")
        self._collect()


@contextmanager
def heralded(night: "Night", hooks: Hooks | None) -> Iterator[Herald | None]:
    """A night whose end is told, however it ends."""
    if hooks is None:
        yield None
        return
    herald = Herald(night, hooks)
    herald.begin()
    try:
        yield herald
    except UserError as error:
        herald.end("given_up", str(error))
        raise
    herald.end("night_over", _last_words(night))


def _last_words(night: "Night") -> str:
    rows: list[dict[str, Any]] = []
    with suppress(UserError, sqlite3.Error):  # a ledger that is gone by now
        rows = night.ledger.rows(
            "SELECT message FROM events WHERE kind = 'night_over' ORDER BY id DESC LIMIT 1")
    return str(rows[0]["message"]) if rows else "over"
