"""Foreign text that tries to be more than text, and a ledger full of it."""

import sqlite3
from contextlib import closing
from pathlib import Path

SCRIPT = "<script>document.title='owned'</script>"
IMAGE = "<img src=x onerror=\"document.title='owned'\">"
CLOSING = "--></style></title></svg></table>]]>\"'`&amp;&#0;"
HEBREW = "\u05e9\u05dc\u05d5\u05dd\u202e reversed \u2067 isolated"
CONTROLS = "\x00\x01\x1b[31m\x7f\ufffe"
LONG = "very long " * 1000
TEXTS = (SCRIPT, IMAGE, CLOSING, HEBREW, CONTROLS.replace("\x00", ""), LONG)


def all_of_it(more: str = "") -> str:
    """Every one of them in one text, the long one last."""
    return more + " ".join(TEXTS)


def spoil(path: Path, more: str = "") -> None:
    """Put such text wherever a ledger holds free text; labels differ, as they must.

    more  comes first, such as an address that a page must not ask
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        for (name,) in list(connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'")):
            connection.execute(f"DROP TRIGGER {name}")  # that keep decisions as they are
        text = all_of_it(more)
        connection.execute("UPDATE runs SET label = id || ?, reason = ?, notes = ?, error = ?, "
                           "config_text = ?, device = ?, strategy = iif(strategy = 'baseline', "
                           "strategy, ?)", (text,) * 7)
        connection.execute("UPDATE runs SET cells = json_object('ID', ?, 'Notes', ?) "
                           "WHERE cells IS NOT NULL", (text, text))
        connection.execute("UPDATE corpora SET name = ?", (text,))
        connection.execute("UPDATE events SET message = ?", (text,))
        connection.execute("UPDATE decisions SET reason = ?", (text,))
