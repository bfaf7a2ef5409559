"""Where things live below a home folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """A folder with one ledger, its runs and its texts."""

    root: Path

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

    def remove_checkpoints(self) -> None:
        """Free the space of a model nobody will go on with; the log and its samples stay."""
        for path in self.root.glob("checkpoint*.npz"):
            path.unlink()

    @property
    def output(self) -> Path:
        """What the worker printed: empty unless something broke."""
        return self.root / "output.log"
