"""Where things lie below a home folder, and which folder that is."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from engine.errors import UserError

DEFAULT_HOME = "~/nights"  # whatever the current folder is: every terminal means the same home
PROJECT = 'name = "phi-auto"'  # in the pyproject.toml of a checkout
CHECKOUT = Path(__file__).resolve().parents[2]  # of the running program, if it is one


@dataclass(frozen=True, slots=True)
class Home:
    """A folder with one ledger, its runs and its texts."""

    root: Path
    is_record: bool = False  # asked for by --record: the project's own runs may be written

    @classmethod
    def at(cls, spelt: str | Path = DEFAULT_HOME) -> Self:
        """The home a person spelt, through links, `..` and ~: one folder has one name.

        UserError where ~ stands for nobody.
        """
        try:
            return cls(Path(os.path.realpath(Path(spelt).expanduser())))
        except (RuntimeError, ValueError, OSError) as error:
            # There is no such user, a NUL in the name, or the current folder is gone.
            raise UserError(f"--home {str(spelt)!r} names no folder ({error}); give a path, such "
                            f"as {DEFAULT_HOME}") from error

    @classmethod
    def record(cls) -> Self:
        """The checkout of the running program, whose ledger holds the project's published runs.

        UserError where the program runs from no checkout.
        """
        if not _is_checkout(CHECKOUT):
            raise UserError("--record means the ledger of the project's checkout, and this program "
                            f"lies in {CHECKOUT}, which is none; give the checkout with --home to "
                            "read it")
        return cls(CHECKOUT, is_record=True)

    def require_writable(self) -> None:
        """UserError where this is a checkout of the project and --record was not given."""
        if not self.is_record and _is_checkout(self.root):
            raise UserError(f"{self.root} holds the project's published runs, which only --record "
                            f"writes; leave out --home for your own in {DEFAULT_HOME}, or name "
                            "another folder")

    @property
    def ledger(self) -> Path:
        return self.root / "ledger.db"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def lock(self) -> Path:
        return self.root / "agent.lock"

    @property
    def control(self) -> Path:
        """What `pause`, `resume` and `stop` ask of the running daemon."""
        return self.root / "runs" / "control.json"

    @property
    def inbox(self) -> Path:
        """Ideas that `agent enqueue` leaves for whoever holds the lock."""
        return self.root / "inbox"

    @property
    def guard(self) -> Path:
        """The guard's present word, left by the running daemon."""
        return self.root / "runs" / "guard.json"

    def run(self, uid: str) -> "RunFolder":
        return RunFolder(self.root / "runs" / uid)


def _is_checkout(folder: Path) -> bool:
    try:
        return PROJECT in (folder / "pyproject.toml").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files through which daemon and worker speak."""

    root: Path

    @property
    def home(self) -> Home:
        """The home whose run this is."""
        return Home(self.root.parent.parent)

    @property
    def job(self) -> Path:
        return self.root / "job.json"

    @property
    def lock(self) -> Path:
        """Held by the one worker of the run."""
        return self.root / "worker.lock"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint.npz"

    @property
    def trunk(self) -> Path:
        """A cell's state where its decay began, from which a longer one goes on."""
        return self.root / "trunk.npz"

    @property
    def start(self) -> Path:
        """The model that a run which improves one begins from; it stays as it is."""
        return self.root / "start.npz"

    @property
    def writer(self) -> Path:
        """The model that writes its pairs, where it is another than the start."""
        return self.root / "writer.npz"

    @property
    def pairs(self) -> Path:
        """What it learns from, a JSON object a line."""
        return self.root / "pairs.jsonl"

    @property
    def making(self) -> Path:
        """Pairs that are being made, a batch a line."""
        return self.root / "making.jsonl"

    def remove_checkpoints(self) -> None:
        """Free the space of a model nobody will go on with; the log and its samples stay."""
        for path in self.root.glob("checkpoint*.npz"):
            path.unlink()

    @property
    def output(self) -> Path:
        """What the worker printed: empty unless something broke."""
        return self.root / "output.log"
