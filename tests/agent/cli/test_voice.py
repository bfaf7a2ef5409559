"""Whoever listens, or has left: the process goes on, and its exit status is what it would be."""

import errno
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.cli import voice
from agent.cli.voice import END_S, PATIENCE_S, ROOM, Mouth, Outlet, Unheard
from tests.support.example_home import a_home
from tests.support.patience import patience

FULL = Path("/dev/full")
needs_dev_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def agent(*words: str, stdout: object = subprocess.PIPE, stderr: object = subprocess.PIPE,
          home: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "agent", *words], stdout=stdout, stderr=stderr,
                          text=True, timeout=patience(60), stdin=subprocess.DEVNULL,
                          env=os.environ | ({"AGENT_HOME": str(home)} if home else {}))


def refuse(code: int) -> voice.Write:
    def write(_fd: int, _data: bytes) -> int:
        raise OSError(code, os.strerror(code))

    return write


def test_what_is_said_is_heard() -> None:
    heard: list[bytes] = []
    mouth = Mouth(2, lambda _fd, data: heard.append(data) or len(data))
    mouth.write(b"one\n")
    mouth.write(b"two\n")
    mouth.drain(END_S)
    assert b"".join(heard) == b"one\ntwo\n"
    assert mouth.unheard() is None


def test_a_write_that_takes_a_part_is_gone_on_with() -> None:
    heard: list[bytes] = []
    mouth = Mouth(2, lambda _fd, data: heard.append(data[:2]) or len(data[:2]))
    mouth.write(b"seven\n")
    mouth.drain(END_S)
    assert b"".join(heard) == b"seven\n"


@pytest.mark.parametrize("code", [errno.EIO, errno.EPIPE, errno.ENOSPC, errno.EBADF])
def test_a_listener_who_left_is_no_error_and_the_first_reason_is_kept(code: int) -> None:
    mouth = Mouth(2, refuse(code))
    assert mouth.write(b"hello\n") == 6
    mouth.drain(END_S)
    assert mouth.unheard() == os.strerror(code)


def test_a_reader_who_does_not_read_holds_up_nobody() -> None:
    reads, now_s = threading.Event(), [0.0]
    mouth = Mouth(2, lambda _fd, data: (reads.wait(), len(data))[1], lambda: now_s[0])
    mouth.write(b"hello\n")
    for _ in range(100):
        mouth.write(bytes(ROOM // 10))
    mouth.drain(0.0)
    assert mouth.unheard() == voice.UNREAD
    reads.set()
    mouth.drain(END_S)
    mouth.write(b"read again\n")
    mouth.drain(END_S)


def test_one_write_that_never_ends_is_told_after_a_while() -> None:
    reads, begun, now_s = threading.Event(), threading.Event(), [0.0]

    def write(_fd: int, data: bytes) -> int:
        begun.set()
        reads.wait()
        return len(data)

    mouth = Mouth(2, write, lambda: now_s[0])
    mouth.write(b"hello\n")
    begun.wait()
    assert mouth.unheard() is None
    now_s[0] = PATIENCE_S + 1
    assert mouth.unheard() == voice.UNREAD
    reads.set()


def test_a_device_without_a_thread_to_give_loses_the_word_and_not_the_night(
        monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    mouth = Mouth(2)
    assert mouth.write(b"hello\n") == 6
    assert mouth.unheard() == "RuntimeError: can't start new thread"


def test_data_that_cannot_be_written_is_told_once_and_never_at_exit() -> None:
    stream = io.TextIOWrapper(io.BufferedWriter(Outlet(1, write=refuse(errno.ENOSPC))))
    stream.write("data")
    with pytest.raises(Unheard, match="cannot write to standard output: No space left on device"):
        stream.flush()
    stream.flush()


def test_a_stream_of_another_kind_has_lost_nothing() -> None:
    assert voice.unheard(io.StringIO()) is None


@needs_dev_full
def test_a_full_disk_below_stdout_is_one_sentence_and_a_status() -> None:
    with open(FULL, "w") as full:
        found = agent("--help", stdout=full)
    assert found.returncode == 1
    assert found.stderr == ("agent: cannot write to standard output: No space left on device; free "
                            "some space, or send it elsewhere\n")


@needs_dev_full
def test_a_full_disk_below_stderr_leaves_the_status_as_it_is(tmp_path: Path) -> None:
    with open(FULL, "w") as full:
        assert agent("status", stderr=full, home=tmp_path).returncode == 1
        assert agent("nonsense", stderr=full, home=tmp_path).returncode == 2


@pytest.mark.parametrize("words", [
    ("status",), ("status", "--json"), ("runs",), ("table",), ("show", "E1"), ("lineage",),
    ("importance",), ("compare", "E1", "B1"), ("log", "E1"), ("--help",), ("run", "--help"),
    ("doctor",)], ids=" ".join)
def test_a_reader_who_has_had_enough_sees_no_traceback(tmp_path: Path,
                                                       words: tuple[str, ...]) -> None:
    home = a_home(tmp_path / "home")
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        found = agent(*words, stdout=pipe, home=home.root)
    assert "Traceback" not in found.stderr
    assert "Exception ignored" not in found.stderr
    assert "standard output" not in found.stderr
    assert found.returncode in (0, 1)


def test_without_streams_the_numbers_are_taken_so_that_no_file_gets_the_talk(
        tmp_path: Path) -> None:
    code = ("import os, sys\nfrom agent.cli.voice import speaking\n"
            "with speaking():\n"
            f"    fd = os.open({str(tmp_path / 'file')!r}, os.O_CREAT | os.O_WRONLY)\n"
            "    sys.stderr.write('lost'); print('lost')\n"
            "sys.exit(0 if fd > 2 else 3)\n")
    found = subprocess.run(["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", sys.executable, "-c",
                            code], timeout=patience(60))
    assert found.returncode == 0
    assert (tmp_path / "file").read_bytes() == b""


def test_a_traceback_of_a_bug_is_still_read() -> None:
    code = "from agent.cli.voice import speaking\nwith speaking():\n    1 / 0\n"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                           timeout=patience(60))
    assert found.returncode == 1
    assert "ZeroDivisionError: division by zero" in found.stderr
