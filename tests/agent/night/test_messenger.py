"""Hooks that hang, fail, shout, fork or redirect: bounded, and told without their secrets."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agent.night.messenger import LATE, masked_url, post, run, why_not_url
from tests.support.patience import patience

ENVIRON = {"PATH": os.environ["PATH"], "WHERE": "here"}


def is_alive(pid: int) -> bool:
    """Whether a process computes still; one that nobody has waited for yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def are_gone(*pids: int) -> bool:
    """Whether all of them end within a moment: a signal takes its time on a machine at work."""
    until_s = time.monotonic() + patience(30)
    while any(map(is_alive, pids)) and time.monotonic() < until_s:
        time.sleep(0.01)
    return not any(map(is_alive, pids))


# --- commands ---------------------------------------------------------------------------------


def test_a_command_reads_the_letter_and_keeps_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "got"
    assert run(f'(cat; printf "$WHERE") > "{path}"', b"x" * 300_000, ENVIRON) is None
    assert path.read_bytes() == b"x" * 300_000 + b"here"


def test_one_that_reads_nothing_and_prints_a_gigabyte_is_no_matter() -> None:
    assert run("head -c 1000000000 /dev/zero; exit 3", b"x" * 1_000_000, ENVIRON) == (
        "its exit status was 3")


def test_one_that_hangs_is_ended_with_all_it_forked(tmp_path: Path) -> None:
    path = tmp_path / "pids"
    began_s = time.monotonic()
    command = f'sleep 600 & sleep 600 & echo $! $$ > "{path}"; trap "" TERM; sleep 600'
    assert run(command, b"", ENVIRON, limit_s=0.3) == LATE
    assert time.monotonic() - began_s < patience(5)
    assert are_gone(*map(int, path.read_text().split()))


def test_what_a_command_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    assert run(f'sleep 600 & echo $! > "{path}"', b"", ENVIRON) is None
    assert are_gone(int(path.read_text()))


def test_one_that_is_not_there_is_told() -> None:
    assert run("no-such-program-here", b"", ENVIRON) == "its exit status was 127"
    assert "could not be started (No such file" in (run(["/no/such"], b"", ENVIRON) or "")


def test_the_child_ends_its_hook_when_it_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    letter = {"way": "command", "to": f'echo $$ > "{path}.new"; mv "{path}.new" "{path}"; sleep 60',
              "body": {}, "environ": ENVIRON}
    with subprocess.Popen([sys.executable, "-m", "agent.night.messenger"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as child:
        assert child.stdin
        child.stdin.write(json.dumps(letter).encode())
        child.stdin.close()
        until_s = time.monotonic() + patience(60)
        while not path.exists() and time.monotonic() < until_s:
            time.sleep(0.01)
        child.send_signal(signal.SIGTERM)
    assert are_gone(int(path.read_text()))


# --- addresses --------------------------------------------------------------------------------


class Peer(ThreadingHTTPServer):
    """Answers with the statuses it was given, the last one for good."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.statuses, self.got = list(statuses), list[tuple[str, bytes, str | None]]()
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Answering(BaseHTTPRequestHandler):
    server: Peer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, body, self.headers.get("Authorization")))
        statuses = self.server.statuses
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        if status == 0:
            return  # hangs up
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", "1000" if status == 299 else "0")
        self.end_headers()
        if status == 299:  # and never sends them
            time.sleep(0.4)

    def log_message(self, format: str, *words: Any) -> None:
        pass


@pytest.fixture
def alarm() -> Iterator[None]:
    def late(*_: Any) -> None:
        raise TimeoutError
    before = signal.signal(signal.SIGALRM, late)
    yield
    signal.signal(signal.SIGALRM, before)


def posted(*statuses: int, user: str = "") -> tuple[str | None, list[Any]]:
    with Peer(*statuses) as peer:
        thread = threading.Thread(target=peer.serve_forever, args=(0.01,))
        thread.start()
        url = peer.url.replace("//", f"//{user}") + "path?q=1"
        why = post(url, b'{"a": 1}', sleep=lambda s: None, try_s=0.2 if 299 in statuses else 5.0)
        peer.shutdown()
        thread.join()
        return why, peer.got


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize(("statuses", "why", "n_tries"), [
    ((204,), None, 1), ((500, 500, 200), None, 3), ((500,), "it answered 500", 3),
    ((404,), "it answered 404", 1), ((429, 200), None, 2), ((302,), "it answered 302", 1),
    ((299,), "it did not answer within 0.2 s", 3), ((0,), "it could not be reached", 3)])
def test_three_tries_where_another_may_go_better(statuses: tuple[int, ...], why: str | None,
                                                 n_tries: int) -> None:
    found, got = posted(*statuses)
    assert found == why or (why and found and found.startswith(why))
    assert [path for path, *_ in got] == ["/path?q=1"] * n_tries
    assert {body for _, body, _ in got} == {b'{"a": 1}'}


@pytest.mark.usefixtures("alarm")
def test_a_name_and_a_password_go_where_they_belong() -> None:
    _, got = posted(200, user="me:p%40ss@")
    assert got[0][2] == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize(("url", "is_good"), [
    ("https://ntfy.sh/topic", True), ("http://localhost:8/x", True), ("http://127.0.0.1/", True),
    ("http://[::1]:80/", True), ("http://example.com/", False), ("ftp://example.com/", False),
    ("http://localhost.evil.com/", False), ("http://127.0.0.1@evil.com/", False),
    ("https://", False), ("https://a b/", False), ("https://a:99999/", False), ("https://[", False),
    ("file:///etc/passwd", False), ("", False), ("https://a/\n", False)])
def test_only_https_and_this_machine(url: str, is_good: bool) -> None:
    assert (why_not_url(url) is None) is is_good


def test_no_secret_of_an_address_is_told() -> None:
    told = masked_url("https://user:word@hooks.example.com:8443/T0K3N/x?key=1#f")
    assert told == "https://hooks.example.com:8443/…"
    assert "user" not in (why_not_url("http://user:word@a.com/t?key") or "")
    assert masked_url("https://a.com/") == "https://a.com/"
    assert masked_url("https://[") == "the address"
