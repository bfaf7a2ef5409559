"""The child that brings a word to a person's hook: python -m agent.night.messenger, a letter as
JSON on its standard input, one line of JSON on its standard output.

It may hang, be answered slowly or never: the night only looks whether it has ended. What a hook
prints goes nowhere, and what it leaves in its process group is ended with it.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from types import FrameType
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

COMMAND_S = 9.0  # a command is ended then, so that a night's end is never kept for over 10 s
TRY_S, N_TRIES = 10.0, 3  # of a POST
PAUSES_S = (1.0, 2.0)  # between them
WHOLE_S = 45.0  # after which this process leaves, whatever it waits for
LOOK_S = 0.02
LATE = "it did not end within 10 s, and was ended"
LOCAL = ("localhost", "127.0.0.1", "::1")
LATER = (408, 425, 429)  # refusals that say: not now
USEFUL_BYTES = 65_536  # of an answer; nobody reads it
DESKTOP = "notify-send"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Another address is not the one that was given, nor need it be https."""

    def redirect_request(self, *asked: Any) -> None:
        return None


# --- addresses --------------------------------------------------------------------------------


def why_not_url(text: str) -> str | None:
    """What is wrong with an address to post to, without its secrets; None where nothing is."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "it is no address; write https://host/path"
    if not host or port == 0 or any(c.isspace() or not c.isprintable() for c in text):
        return "it is no address; write https://host/path"
    if parts.scheme == "https" or (parts.scheme == "http" and host in LOCAL):
        return None
    return (f"{masked_url(text)} is not https, so anybody on the way could read it; http is for "
            "localhost alone")


def masked_url(text: str) -> str:
    """https://host/…: names, passwords, paths and questions of an address may be secrets."""
    try:
        parts = urlsplit(text)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the address"
    is_more = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    return f"{parts.scheme}://{parts.hostname}{port}/{'…' if is_more else ''}"


def _request(url: str, body: bytes) -> urllib.request.Request:
    parts = urlsplit(url)
    headers = {"Content-Type": "application/json", "User-Agent": "phi-auto"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    bare = urlunsplit(SplitResult(parts.scheme, parts.netloc.rpartition("@")[2], parts.path or "/",
                                  parts.query, ""))
    return urllib.request.Request(bare, body, headers, method="POST")


# --- the three ways ---------------------------------------------------------------------------


def post(url: str, body: bytes, sleep: Callable[[float], None] = time.sleep,
         try_s: float = TRY_S) -> str | None:
    """Why it could not be posted; None where it was."""
    handlers: list[Any] = [NoRedirect()]
    if urlsplit(url).hostname in LOCAL:
        handlers.append(urllib.request.ProxyHandler({}))
    opener = urllib.request.build_opener(*handlers)
    why = ""
    for attempt in range(N_TRIES):
        if attempt:
            sleep(PAUSES_S[attempt - 1])
        why, may_pass = _try(opener, _request(url, body), try_s)
        if not may_pass:
            break
    return why or None


def _try(opener: Any, request: urllib.request.Request, try_s: float) -> tuple[str, bool]:
    """What went wrong, nothing if it was taken; and whether another time may go better."""
    signal.setitimer(signal.ITIMER_REAL, try_s)  # the whole of it: an answer may come in drops
    try:
        with opener.open(request, timeout=try_s) as answer:
            answer.read(USEFUL_BYTES)
        return "", False
    except urllib.error.HTTPError as error:
        error.close()
        return (f"it answered {error.code}",
                not 300 <= error.code < 500 or error.code in LATER)
    except TimeoutError:
        return f"it did not answer within {try_s:g} s", True
    except urllib.error.URLError as error:
        return _in_words(error.reason, try_s), True
    except (OSError, ValueError) as error:  # ValueError: what no HTTP server answers
        return _in_words(error, try_s), True
    except Exception as error:  # noqa: BLE001 http.client's own, whose words may hold anything
        return f"its answer is none ({type(error).__name__})", True
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _in_words(error: Any, try_s: float) -> str:
    """A reason that repeats nothing of the address."""
    if isinstance(error, TimeoutError):
        return f"it did not answer within {try_s:g} s"
    told = getattr(error, "strerror", None)
    return f"it could not be reached ({told or type(error).__name__})"


def run(command: str | list[str], body: bytes, environ: dict[str, str],
        limit_s: float = COMMAND_S) -> str | None:
    """Run a command with the letter as its standard input; why it failed, None if it did not.

    A string is the shell's. The whole process group is ended with it.
    """
    with tempfile.TemporaryFile() as letter:
        letter.write(body)
        letter.seek(0)
        try:
            hook = subprocess.Popen(
                command, shell=isinstance(command, str), stdin=letter, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, start_new_session=True, env=environ)
        except OSError as error:
            return f"it could not be started ({error.strerror})"
    is_late = True
    try:
        is_late = not _has_ended(hook.pid, limit_s)
    finally:  # before it is waited for: until then its number is nobody else's
        _end_group(hook.pid)
        status = hook.wait()
    if is_late:
        return LATE
    return f"its exit status was {status}" if status else None


def _has_ended(pid: int, limit_s: float) -> bool:
    until_s = time.monotonic() + limit_s
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > until_s:
            return False
        time.sleep(LOOK_S)
    return True


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(1)  # through the `finally` that ends a hook's group


def _late(_number: int, _frame: FrameType | None) -> None:
    raise TimeoutError


def main() -> int:
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGALRM, _late)
    watchdog = threading.Timer(WHOLE_S, os._exit, (1,))  # a look for a name hears no signal
    watchdog.daemon = True
    watchdog.start()
    letter = json.load(sys.stdin)
    body = json.dumps(letter["body"]).encode()
    if letter["way"] == "url":
        why = post(letter["to"], body)
    elif letter["way"] == "desktop":
        found = shutil.which(DESKTOP)
        why = run([found, "--app-name=phi-auto", "--", letter["body"]["title"],
                   letter["body"]["text"]], b"", letter["environ"]) if found else None
    else:
        why = run(letter["to"], body, letter["environ"])
    sys.stdout.write(json.dumps({"why": why}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
