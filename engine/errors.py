"""Everything the engine raises on purpose.

    UserError                 a person can mend it; one sentence, printed by the CLI, exit 1
    ├── ConfigError           a field or a combination of fields is not allowed
    ├── CorpusError           the text cannot be read, split or downloaded
    ├── TokenizerError        a vocabulary cannot be trained, read or applied
    │   └── VocabularyTooLarge    a text does not support so many tokens
    ├── CheckpointError       a checkpoint is torn, foreign or of another configuration
    ├── StorageError          the disk is full or may not be written
    │   └── FolderBusy        another process works in a folder; that passes
    ├── NoProposal            a strategy found nothing that fits; its text says why
    └── LedgerError           the ledger cannot be read, or a request does not fit what it holds
        ├── LedgerBusy        another program keeps it locked; that passes
        └── LedgerSwapped     its file is no longer the one that was opened
    ReplicaDied               a process that shares the training of a run is gone
    Diverged                  the loss left the finite numbers, or rose above its start
    Left                      an evaluation was left between two windows, as it was asked to be
"""


class UserError(Exception):
    """What a person can fix: one sentence with the value that is wrong and the remedy."""


class ConfigError(UserError):
    """A field of Config, or a combination of fields, is not allowed."""


class CorpusError(UserError):
    """A corpus cannot be read, split or downloaded."""


class TokenizerError(UserError):
    """A vocabulary cannot be trained, read or applied."""


class VocabularyTooLarge(TokenizerError):
    """A text does not support so many tokens."""

    def __init__(self, message: str, most: int) -> None:
        super().__init__(message)
        self.most = most  # that it supports


class CheckpointError(UserError):
    """A checkpoint is torn, of another program or of another configuration."""


class StorageError(UserError):
    """The disk is full or may not be written."""


class FolderBusy(StorageError):
    """Another process works in a folder; who waits may go on."""


class NoProposal(UserError):
    """A strategy found nothing that fits; the text says what stood in the way."""


class LedgerError(UserError):
    """The ledger cannot be read, or a request does not fit what it holds."""


class LedgerBusy(LedgerError):
    """Another program keeps the ledger locked; who waits may go on."""


class LedgerSwapped(LedgerError):
    """The ledger's file is no longer the one that was opened: what is written would be lost."""


class Diverged(Exception):
    """Training left the finite numbers, or rose above the loss it started from."""


class Left(Exception):
    """An evaluation was left between two windows, as asked; begun anew it gives the same score."""


class ReplicaDied(Exception):
    """A process that shares the training of a run is gone; the run cannot go on without it."""

    def __init__(self, message: str, signal: int | None = None) -> None:
        super().__init__(message)
        self.signal = signal  # that ended it, if one did


class NotPrepared(CorpusError):
    """A text that somebody only asked about is not there."""
