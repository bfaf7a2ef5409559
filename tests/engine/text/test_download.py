"""The first stories come over a bad line as over a good one, and no more than asked for."""

import errno
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from engine.errors import CorpusError, StorageError
from engine.text import download
from engine.text.download import fetch_range, first_stories

N = 400
TEXT = "".join(f"Story {i}: once upon a time, é.\n<|endoftext|>\n" for i in range(N)).encode()
STORIES = [f"Story {i}: once upon a time, é." for i in range(N)]


class Handler(BaseHTTPRequestHandler):
    """Serves server.text; server.fault says what goes wrong at which request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers["Range"])
        fault = server.faults.pop(0) if server.faults else None
        first, last = map(int, re.findall(r"\d+", self.headers["Range"]))
        body = server.text[first:last + 1]
        if fault == "error":
            return self.answer(503, b"")
        if fault == "redirect":
            return self.answer(302, b"", Location="/moved")
        if fault == "no ranges" or server.no_ranges:
            return self.answer(200, server.text)
        if first >= len(server.text):
            return self.answer(416, b"")
        if fault == "other range":
            first += 1
        headers = {"Content-Range": f"bytes {first}-{first + len(body) - 1}/{len(server.text)}"}
        if fault == "cut":
            body = body[:len(body) // 3]
        if fault == "cut at once":
            body = b""
        self.answer(206, body, last - first + 1 if fault else None, **headers)

    def answer(self, status, body, length=None, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(length or len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.server.n_sent += len(body)
        try:
            self.wfile.write(body)
        except ConnectionError:
            self.server.n_broken += 1
        self.close_connection = True

    def log_message(self, *args):
        """Nothing on the test's output."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(download, "RANGE_BYTES", 1_000)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    server.text, server.asked, server.faults, server.no_ranges = TEXT, [], [], False
    server.n_sent = server.n_broken = 0
    server.url = f"http://127.0.0.1:{server.server_port}/tales.txt"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_first_stories_come_in_ranges_and_no_more(server, tmp_path):
    stories = first_stories(server.url, tmp_path / "part", 60)

    assert stories == STORIES[:60]
    assert server.asked == ["bytes=0-999", "bytes=1000-1999", "bytes=2000-2999"]
    assert server.n_sent == 3_000


def test_a_text_with_fewer_stories_is_taken_whole(server, tmp_path):
    server.text = TEXT + b"The last has no end"

    assert first_stories(server.url, tmp_path / "part", 10**6) == [*STORIES, "The last has no end"]


def test_ranges_may_end_anywhere_in_a_character_or_separator(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "RANGE_BYTES", 7)

    assert first_stories(server.url, tmp_path / "part", 12) == STORIES[:12]


def test_half_a_character_behind_the_last_story_is_left_out(tmp_path):
    data = "One.<|endoftext|>é".encode()[:-1]

    assert first_stories("https://hub.example/x.txt", tmp_path / "part", 1,
                         lambda url, start, end: data[start:end]) == ["One."]


def test_a_download_that_was_stopped_goes_on_where_it_was(server, tmp_path):
    server.faults = [None, None, "error", "error", "error"]
    with pytest.raises(CorpusError, match=r"cannot reach 127\.0\.0\.1: HTTP Error 503.*; 43 of 100 "
                                          "stories are kept and the next start goes on from there"
                                          ", or use --corpus builtin or a FILE"):
        first_stories(server.url, tmp_path / "part", 100)
    server.asked.clear()

    assert first_stories(server.url, tmp_path / "part", 100) == STORIES[:100]
    assert server.asked[0] == "bytes=2000-2999"
    assert (tmp_path / "part").read_bytes() == TEXT[:5_000]


def test_a_connection_cut_in_the_middle_loses_nothing_that_came(server, tmp_path):
    server.faults = [None, "cut", None, "cut at once", "error"]

    assert first_stories(server.url, tmp_path / "part", 100) == STORIES[:100]
    assert server.asked[1:3] == ["bytes=1000-1999", "bytes=1333-2332"]


def test_a_redirect_is_followed_with_its_range(server, tmp_path):
    server.faults = ["redirect"]

    assert first_stories(server.url, tmp_path / "part", 20) == STORIES[:20]
    assert server.asked == ["bytes=0-999"] * 2


def test_a_server_without_ranges_sends_the_same_and_is_stopped_early(server, tmp_path):
    server.text, server.no_ranges = TEXT + b" " * (64 << 20), True

    assert first_stories(server.url, tmp_path / "part", 60) == STORIES[:60]
    server.shutdown()
    server.server_close()  # waits for its threads
    assert server.n_broken == 3  # each was hung up on before it had sent all


def test_a_server_without_ranges_ends_where_the_text_ends(server, tmp_path):
    server.no_ranges = True

    assert first_stories(server.url, tmp_path / "part", N + 1) == STORIES


def test_another_range_than_asked_for_is_not_taken(server):
    server.faults = ["other range"]

    with pytest.raises(ConnectionError, match="asked for bytes from 5, sent bytes 6-"):
        fetch_range(server.url, 5, 50)


def test_a_connection_that_brings_nothing_is_no_end(server):
    server.faults = ["cut at once"]

    with pytest.raises(ConnectionError, match="the connection broke off"):
        fetch_range(server.url, 0, 50)


def test_beyond_the_end_there_is_nothing(server):
    assert fetch_range(server.url, len(TEXT), len(TEXT) + 50) == b""


def test_without_a_network_the_way_out_is_said(tmp_path):
    def offline(url, start, end):
        raise OSError("Network is unreachable")

    with pytest.raises(CorpusError, match=r"cannot reach hub\.example: Network is unreachable; "
                                          "0 of 5 stories .* use --corpus builtin or a FILE"):
        first_stories("https://hub.example/x.txt", tmp_path / "part", 5, offline)


@pytest.mark.parametrize(("data", "message"), [
    (b"", "holds no story; use --corpus builtin"),
    (b"<|endoftext|> <|endoftext|>", "holds no story"),
    (b"\xff<|endoftext|>", "x.txt is not UTF-8: byte 0xff at offset 0"),
])
def test_what_is_no_text_of_stories_is_refused_and_not_kept(tmp_path, data, message):
    with pytest.raises(CorpusError, match=message):
        first_stories("https://hub.example/x.txt", tmp_path / "part", 5,
                      lambda url, start, end: data[start:end])

    assert not (tmp_path / "part").exists()


def test_a_full_disk_is_said_and_what_came_before_is_kept(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    part = tmp_path / "part"
    part.write_bytes(TEXT[:1_000])
    monkeypatch.setattr(download.os, "fsync", full)

    with pytest.raises(StorageError, match=r"cannot write .*/part .*: No space left on device; "
                                           "what came is kept"):
        first_stories("https://hub.example/x.txt", part, 100,
                      lambda url, start, end: TEXT[start:end])

    monkeypatch.undo()
    assert first_stories("https://hub.example/x.txt", part, 100,
                         lambda url, start, end: TEXT[start:end]) == STORIES[:100]


def test_progress_counts_stories(server, tmp_path):
    told = []
    first_stories(server.url, tmp_path / "part", 60, progress=lambda *step: told.append(step))

    assert told == [("downloading", n, 60) for n in (0, 21, 43, 60)]
