"""The HTTP side: 127.0.0.1, GET and HEAD, two addresses, and no other name than its own.

A page elsewhere cannot read what is served here: it would have to come from this origin, and a name
that was bent to this address (DNS rebinding) stands in the Host header, where it is refused.
"""

import errno
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agent.serve.site import Site

LOCAL = "127.0.0.1"
NAMES = (LOCAL, "localhost")  # under which a browser here may ask
MOST_CONNECTIONS = 32
SILENT_S = 30.0  # after which a connection that says nothing is closed
WAKE_S = 60.0  # a server that waits looks up so seldom: Ctrl-C ends it at once all the same
HEADERS = {
    "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    # The page's own policy is in it; what only a header can say is that no other frames it.
    "Content-Security-Policy": "frame-ancestors 'none'",
}
HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"


class Handler(BaseHTTPRequestHandler):
    """One connection; it may ask several times."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "phi-auto", ""
    timeout = SILENT_S
    server: "Server"

    def parse_request(self) -> bool:
        """Refuse, before anything is looked at, what no browser of this page sends."""
        if not super().parse_request():
            return False
        if self.command not in ("GET", "HEAD"):
            return self._refuse(405, "this server only shows: GET and HEAD", Allow="GET, HEAD")
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].strip().lower() not in self.server.hosts:
            return self._refuse(403, f"ask for http://{LOCAL}:{self.server.server_port}/")
        if self.headers.get("Content-Length", "0").strip() != "0" or (
                "Transfer-Encoding" in self.headers):
            return self._refuse(400, "a question here has no body")
        return True

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        site = self.server.site
        if asked.path == "/":
            self._answer(200, HTML, site.page().encode())
        elif asked.path == "/now.json":
            query = parse_qs(asked.query, max_num_fields=4)
            known = {name: query.get(name, [""])[-1] for name in ("now", "report")}
            self._answer(200, JSON, site.now_json(known["now"], known["report"]).encode())
        else:
            self._answer(404, TEXT, b"there is / and /now.json\n")

    do_HEAD = do_GET

    def _refuse(self, status: int, why: str, **headers: str) -> bool:
        self.close_connection = True
        self._answer(status, TEXT, f"{why}\n".encode(), Connection="close", **headers)
        return False

    def _answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in (HEADERS | headers).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What cannot even be parsed is answered without a word of it."""
        self.command = getattr(self, "command", None) or ""
        self._refuse(code, "that is no question this server understands")

    def log_message(self, format: str, *words: Any) -> None:
        """A page that asks every two seconds is nothing to tell."""


class Server(ThreadingHTTPServer):
    """Listens on 127.0.0.1 alone; more connections than a few are closed at once."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, port: int, site: Site,
                 tell: Callable[[str], object] = lambda told: None) -> None:
        self.site, self._tell = site, tell
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((LOCAL, port), Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in NAMES} | (
            set(NAMES) if self.server_port == 80 else set())

    def server_bind(self) -> None:
        """Without the look for its own name that HTTPServer adds: no network is asked."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = LOCAL, self.server_address[1]

    @property
    def url(self) -> str:
        return f"http://{LOCAL}:{self.server_port}/"

    def show(self) -> None:
        """Answer until Ctrl-C, which is raised."""
        self.serve_forever(poll_interval=WAKE_S)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread to be had
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away in the middle is no error; anything else is told in a line."""
        import sys

        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self._tell(f"a question could not be answered: {type(error).__name__}: {error}")


def bound(port: int, site: Site, tell: Callable[[str], object]) -> tuple[Server, bool]:
    """A server at that port, or at a free one where it is taken; whether it is the one asked for.

    Raises OSError where there is none at all.
    """
    try:
        return Server(port, site, tell), True
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        return Server(0, site, tell), False
