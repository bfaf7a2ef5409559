"""The server answers GET and HEAD of its own page, to its own name, on 127.0.0.1."""

import re
import socket

import pytest

from agent.home.paths import Home
from agent.serve.server import Server, bound
from tests.agent.serve.conftest import Ask, site_of, told


def test_the_page_and_its_news_are_there_and_nothing_else(ask: Ask) -> None:
    status, headers, body = ask("/")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b'<section id="now">' in body
    assert (ask("/now.json")[0], ask("/ledger.db")[0], ask("/../ledger.db")[0]) == (200, 404, 404)


def test_the_page_may_ask_its_server_and_run_its_own_script_alone(ask: Ask) -> None:
    _, headers, body = ask("/")
    policy = re.search(r'Security-Policy" content="([^"]+)"', body.decode())
    assert policy
    rules = dict(rule.split(" ", 1) for rule in policy[1].replace("&#x27;", "'").split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "'self'"
    assert rules["script-src"].startswith("'sha256-")
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", ""])
def test_another_name_than_its_own_is_refused(ask: Ask, host: str) -> None:
    """A page whose name was bent to this address sends that name."""
    status, _, body = ask("/now.json", Host=host)
    assert status == 403
    assert b"run" not in body


def test_localhost_is_its_name_too(ask: Ask, server: Server) -> None:
    assert ask("/now.json", Host=f"LocalHost:{server.server_port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "X"])
def test_it_only_shows(ask: Ask, method: str) -> None:
    status, headers, _ = ask("/", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_a_question_with_a_body_is_refused(ask: Ask) -> None:
    assert ask("/", "GET", **{"Content-Length": "5"})[0] == 400


def test_head_tells_the_length_and_sends_nothing(ask: Ask) -> None:
    status, headers, body = ask("/now.json", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 100


@pytest.mark.parametrize("line", [b"GET /\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
                                  b"\x16\x03\x01\r\n\r\n",
                                  b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                                  b"GET <script> HTTP/9\r\n\r\n"])
def test_what_no_browser_sends_gets_no_word_of_the_ledger(server: Server, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as raw:
        raw.sendall(line)
        answer = raw.makefile("rb").read()
    assert b"section" not in answer
    assert b"<script>" not in answer


def test_it_listens_on_this_machine_alone(server: Server) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"


def test_a_taken_port_is_answered_by_another(home: Home, server: Server) -> None:
    other, is_asked_for = bound(server.server_port, site_of(home), print)
    with other:
        assert not is_asked_for
        assert other.server_port not in (0, server.server_port)


def test_a_question_too_many_is_closed_and_the_next_is_answered(server: Server, ask: Ask) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.server_port)) for _ in range(40)]
    for one in idle:
        one.close()
    for _ in range(200):  # until the threads have seen their connections close
        try:
            status, _, body = ask("/now.json")
            break
        except OSError:
            continue
    assert status == 200
    assert told(body)["now"]
