"""An observer that never fails a night: what it cannot say is dropped, and why is known."""

from typing import Any, Protocol, runtime_checkable

from agent.ledger import Run
from agent.words import told_error


class Observer(Protocol):
    """Where a night tells a person what happens."""

    def say(self, message: str) -> None: ...

    def progress(self, run: Run, newest: dict[str, dict[str, Any]]) -> None: ...


@runtime_checkable
class Hearing(Protocol):
    """An observer that knows whether it was heard, such as one that hands on what is said."""

    def unheard(self) -> str | None: ...


class Teller:
    """Speaks through another observer. Talking may fail: no run is lost for want of a listener."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._failed: str | None = None

    def say(self, message: str) -> None:
        try:
            self._observer.say(message)
        except (OSError, ValueError) as error:  # ValueError: a closed file, a letter it has not
            self._failed = self._failed or told_error(error)

    def progress(self, run: Run, newest: dict[str, dict[str, Any]]) -> None:
        try:
            self._observer.progress(run, newest)
        except (OSError, ValueError) as error:
            self._failed = self._failed or told_error(error)

    def unheard(self) -> str | None:
        """Why something was not heard, the first time; None where all was."""
        if self._failed is None and isinstance(self._observer, Hearing):
            self._failed = self._observer.unheard()
        return self._failed
