"""A ledger, or a whole home, that was swapped while a night wrote it: what it learnt is kept.

The connection still has the file that was opened. What that holds is copied to a file of its own,
which `agent merge` takes, and nothing of ours stays beside the file that lies there now.
"""

import os
import shlex
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent.home import Held, Home
from agent.ledger import Ledger
from engine.errors import LedgerSwapped, UserError


class Harbour:
    """Where the ledger of a home is kept when its path leads elsewhere."""

    def __init__(self, home: Home, held: Held, ledger: Ledger, stamp: str) -> None:
        self.home, self._held, self.ledger = home, held, ledger
        self._name = f"kept-{stamp.translate(str.maketrans('', '', ':-'))}.db"
        self._folder = os.open(home.root, os.O_RDONLY)  # leads to the home where that is moved
        self._kept: Path | None = None

    def close(self) -> None:
        os.close(self._folder)

    def look(self) -> None:
        """LedgerSwapped where the ledger is not where it was; a lost lock is taken again."""
        self.ledger.anchor.require()
        if not self.ledger.anchor.is_adrift:
            self._held.again()

    def secure(self) -> None:
        """Keep what the ledger holds now, and let it be written on: the file that was opened."""
        anchor = self.ledger.anchor
        anchor.is_adrift = True
        if anchor.is_named or self.moved_to():
            return  # it is whole where it is, but for its log, which the end brings in
        self._keep()
        anchor.take_away()

    def _keep(self) -> None:
        places = [self._kept] if self._kept else []
        places += [folder / f"{prefix}{self._name}" for folder, prefix in (
            (self.home.root, "ledger-"), (self.home.root.parent, f"{self.home.root.name}-ledger-"),
            (Path.home(), f"{self.home.root.name}-ledger-"),
            (Path(tempfile.gettempdir()), f"{self.home.root.name}-ledger-")) if folder.is_dir()]
        for place in places:
            with suppress(UserError, OSError, sqlite3.Error):
                self.ledger.keep(place)
                self._kept = place
                return

    def moved_to(self) -> Path | None:
        """Where the home lies now with the ledger in it; None where it was not moved as a whole."""
        try:
            now = Home(Path(os.readlink(f"/proc/self/fd/{self._folder}")))
        except OSError:
            return None
        is_moved = now.root != self.home.root and self.ledger.anchor.is_at(now.ledger)
        return now.root if is_moved else None

    def told(self, why: str) -> str:
        """Why the night is over, and where what it learnt is, in one sentence."""
        ours = "--record" if self.home.is_record else f"--home {shlex.quote(str(self.home.root))}"
        if moved := self.moved_to():
            self._settle()
            return (f"{self.home.root} was moved to {moved} while it was in use; nothing of it is "
                    f"lost: `agent --home {shlex.quote(str(moved))} run` goes on there")
        if self.ledger.anchor.is_named and self._settle():
            return f"{why}; all it holds is in {self.home.ledger}: the same command goes on"
        self._keep()
        self.ledger.anchor.take_away()
        if self._kept is None:
            return (f"{why}, and what was learnt could not be kept whole; each run's own log stays "
                    f"in {self.home.root / 'runs'}")
        return (f"{why}; what was learnt is kept in {self._kept}: `agent {ours} merge "
                f"{shlex.quote(str(self._kept))}` adds it to the ledger of that home")

    def _settle(self) -> bool:
        with suppress(UserError, sqlite3.Error):
            return self.ledger.settle()
        return False


@contextmanager
def in_harbour(home: Home, held: Held, ledger: Ledger, stamp: str) -> Iterator[Harbour]:
    """A place for the ledger; UserError where it was swapped meanwhile, and where it is kept."""
    harbour = Harbour(home, held, ledger, stamp)
    try:
        yield harbour
    except LedgerSwapped as error:
        harbour.secure()
        raise UserError(harbour.told(str(error))) from error
    finally:
        harbour.close()
