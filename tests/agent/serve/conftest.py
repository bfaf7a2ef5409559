"""A home with a ledger and a server on it, in a thread."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.home.paths import Home
from agent.serve.server import Server
from agent.serve.site import Site
from tests.support import example_ledger as example

PARTS = {"title": "t", "head": '<header id="head"><h1>made</h1></header>',
         "sections": [["course", '<section id="course">made</section>']],
         "foot": '<footer id="foot">made</footer>'}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.ledger.write_bytes(example.filled())
    return home


def site_of(home: Home, **how: Any) -> Site:
    return Site(home, make=lambda home, study: PARTS, **how)


Ask = Callable[..., tuple[int, dict[str, str], bytes]]


@pytest.fixture
def server(home: Home) -> Iterator[Server]:
    with Server(0, site_of(home)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def ask(server: Server) -> Ask:
    def asked(path: str = "/", method: str = "GET",
              **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        found = answer.status, dict(answer.headers), answer.read()
        connection.close()
        return found

    return asked


def told(body: bytes) -> dict[str, Any]:
    found = json.loads(body)
    assert isinstance(found, dict)
    return found
