"""A folder that looks like Termux, with stub commands that record how they were called."""

import json
import os
import select
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.patience import patience

TERMUX = Path(__file__).parents[2] / "termux"
LIMIT_S = int(patience(30))  # after which a script that does not end fails its test

# A line of tab-separated words for each call.
STUB = """#!/bin/sh
{ printf %s "${0##*/}"; for word; do printf '\\t%s' "$word"; done; echo; } >> "$CALLS"
"""
STUBS = {
    "pkg": "", "pip": "", "termux-wake-lock": "", "termux-job-scheduler": "",
    "termux-notification": "", "termux-notification-remove": "",
    "timeout": 'shift 3\nexec "$@"\n',
    "python": f"""case "$*" in
    -c*|*notice.py) exec '{sys.executable}' "$@" ;;
    '-m agent --version') exit "${{AGENT_FAILS:-0}}" ;;
    '-m agent status --json') cat "$STATUS" ;;
    '-m agent run'*) echo "hello from $PWD, home $AGENT_HOME"
        echo "$$ $(cut -d' ' -f6 /proc/$$/stat)" > "$CALLS.agent" ;;
esac
""",
}
BOOT, WATCHDOG = ".termux/boot/phi-auto", ".termux/phi-auto-watchdog"


@dataclass(frozen=True)
class Ended:
    """A program that has ended."""

    pid: int
    status: int
    out: str
    err: str


@dataclass
class Phone:
    """A folder that looks like Termux: HOME, PREFIX with stub commands, and an agent's home."""

    root: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.prefix / "bin").mkdir(parents=True)
        self.user.mkdir()
        self.home.mkdir()
        for name, body in STUBS.items():
            self.command(name, body)
        (self.prefix / "bin/sh").symlink_to("/bin/sh")
        self.say({})

    @property
    def prefix(self) -> Path:
        return self.root / "usr"

    @property
    def user(self) -> Path:
        return self.root / "user"

    @property
    def home(self) -> Path:
        return self.root / "it's a home"

    @property
    def log(self) -> Path:
        return self.home / "agent.log"

    def command(self, name: str, body: str) -> None:
        path = self.prefix / "bin" / name
        path.write_text(STUB + body, encoding="utf-8")
        path.chmod(0o755)

    def without(self, *names: str) -> None:
        for name in names:
            (self.prefix / "bin" / name).unlink()

    def say(self, status: Any) -> None:
        """What `agent status --json` prints from now on."""
        text = status if isinstance(status, str) else json.dumps(status)
        (self.root / "status").write_text(text, encoding="utf-8")

    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.user), "PREFIX": str(self.prefix), "AGENT_HOME": str(self.home),
                "PATH": f"{self.prefix}/bin:/usr/bin:/bin", "CALLS": str(self.root / "calls"),
                "STATUS": str(self.root / "status"), **self.settings}

    def run(self, *words: str | Path) -> Ended:
        """Run until the program and all that it left in the background have ended."""
        ours, theirs = os.pipe()  # inherited by every descendant: at its end none is left
        try:
            program = subprocess.Popen([str(word) for word in words], env=self.environment(),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       text=True, pass_fds=[theirs], cwd=self.root)
            os.close(theirs)
            out, err = program.communicate(timeout=LIMIT_S)
            assert select.select([ours], [], [], LIMIT_S)[0], "something still runs"
        finally:
            os.close(ours)
        return Ended(program.pid, program.returncode, out, err)

    def script(self, name: str, *words: str) -> Ended:
        return self.run("/bin/sh", TERMUX / name, *words)

    def install(self) -> str:
        ended = self.script("install.sh")
        assert ended.status == 0, ended.err
        return ended.out

    def calls(self, name: str = "") -> list[list[str]]:
        """Words of every call, or of those of one command without its name."""
        path = self.root / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        words = [line.split("\t") for line in lines]
        return [call[1:] for call in words if call[0] == name] if name else words

    def starts(self) -> list[list[str]]:
        """Options of every `agent run`."""
        return [call[3:] for call in self.calls("python") if call[:3] == ["-m", "agent", "run"]]

    def agent_ids(self) -> list[int]:
        """Process and session of the last agent."""
        return [int(word) for word in (self.root / "calls.agent").read_text().split()]

    def files(self) -> dict[str, tuple[bytes, int]]:
        return {path.relative_to(self.user).as_posix(): (path.read_bytes(), path.stat().st_mode)
                for path in self.user.rglob("*") if path.is_file()}

    def shown(self) -> list[str]:
        """Title and content of the last notification."""
        call = self.calls("termux-notification")[-1]
        return [call[call.index("--title") + 1], call[call.index("--content") + 1]]
