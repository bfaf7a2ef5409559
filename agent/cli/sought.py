"""Which of many runs a person looks for: by state, by words, by a star."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from agent.ledger import Remark, Run, State

NOTHING = Remark()


@dataclass(frozen=True, slots=True)
class Sought:
    """What was asked for on the command line."""

    remarks: Mapping[int, Remark]
    verdicts: Mapping[int, str]
    state: State | None = None
    limit: int | None = None
    words: tuple[str, ...] = ()  # without regard to case
    is_starred: bool = False

    @property
    def is_narrow(self) -> bool:
        """Whether runs have to be looked at one by one."""
        return bool(self.words or self.is_starred)

    def has(self, run: Run) -> bool:
        """Whether a run is one of them: each word stands somewhere in what is told of it."""
        remark = self.remarks.get(run.id, NOTHING)
        if self.is_starred and not remark.is_starred:
            return False
        told = " ".join(filter(None, (
            run.label, remark.note, run.notes, run.reason, run.error, run.strategy,
            run.config_text, run.state, self.verdicts.get(run.id)))).casefold()
        return all(word in told for word in self.words)


def sought(remarks: Mapping[int, Remark], verdicts: Mapping[int, str], *, state: State | None,
           limit: int | None, text: str | None, starred: bool) -> Sought:
    """The options of `agent runs` as one value."""
    return dataclasses.replace(Sought(remarks, verdicts, state, limit), is_starred=starred,
                               words=tuple((text or "").casefold().split()))
