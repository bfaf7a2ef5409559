"""What stands for a sign that a terminal cannot show: -> for an arrow, not a question mark."""

import codecs

HANDLER = "agent.signs"  # name of the handler of encoding errors, for `reconfigure(errors=…)`

_ASCII = {
    "→": "->", "←": "<-", "…": "...", "±": "+-", "×": "x", "÷": "/", "·": ".", "−": "-", "–": "-",
    "—": "-", "─": "-", "━": "=", "╌": "-", "│": "|", "┤": "|", "└": "+", "°": " deg ", "≤": "<=",
    "≥": ">=", "σ": "sigma", "μ": "u", "█": "#", "’": "'", "‘": "'", "“": '"', "”": '"',
    "\N{NO-BREAK SPACE}": " ", "★": "*",
}
_TABLE = str.maketrans(_ASCII)


def in_ascii(text: str) -> str:
    """Text in ASCII alone; what has no neighbour there is a question mark."""
    return text.translate(_TABLE).encode("ascii", "replace").decode("ascii")


def is_narrow(encoding: str | None) -> bool:
    """Whether an encoding lacks what this program draws with."""
    try:
        "→…─±".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return False


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(_ASCII.get(sign, "?") for sign in lacking), error.end


def register() -> str:
    """The handler's name, once it can be named to a stream."""
    codecs.register_error(HANDLER, _replaced)
    return HANDLER
