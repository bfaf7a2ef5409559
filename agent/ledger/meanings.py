"""What each table and column of a ledger is, in words: the comments of the schema itself.

Released steps are never edited, so what they leave without a comment, since the name says it to
who reads SQL, is said here; a test holds that each column is described once.
"""

import re

from sqlite_utils import Database

from agent.ledger.migrations import migrations

_COLUMN = re.compile(r"^\s+(\w+) [^-]*(?:-(?!-)[^-]*)*(?:--\s*(.*))?$")
_MORE = re.compile(r"^\s+--\s*(.*)$")
UTC = "UTC, such as 2026-03-24T10:11:12Z"

# By table and column, or by the column's name wherever it stands.
UNSAID = {
    "id": "Number of the row, by which others refer to it",
    "created_at": f"When it was made; {UTC}",
    "run_id": "The run it is of",
    "corpus_id": "Its text, cut by one tokenizer",
    "device": "The machine that computed it",
    "tok_per_s": "Training tokens a second",
    "corpora.source": "Where the text came from: builtin, tinystories or a file",
    "corpora.vocab_size": "Tokens the tokenizer knows",
    "corpora.tokenizer_sha256": "Of the tokenizer's merges",
    "corpora.n_tokens_train": "Tokens of the training split",
    "corpora.confirm_sha256": "Of the tokens of the shard that confirms",
    "corpora.test_sha256": "Of the tokens of the shard that decides nothing",
    "corpora.uniform_nats": "Loss of guessing evenly on the search shard, nats per token",
    "corpora.unigram_bpb": "Loss of the unigram model, bits per byte",
    "corpora.unigram_nats": "Loss of the unigram model, nats per token",
    "corpora.bigram_nats": "Loss of the bigram model, nats per token",
    "corpora.trigram_nats": "Loss of the trigram model, nats per token",
    "corpora.bigram_bpb": "Loss of the bigram model, bits per byte",
    "corpora.trigram_bpb": "Loss of the trigram model, bits per byte",
    "grids.seed": "Seed of all its cells",
    "grids.note": "What it is for, in words",
    "calibrations.sigma_bpb": "Standard deviation over seeds, bits per byte",
    "calibrations.mean_bpb": "Mean of the baseline's seeds, bits per byte",
    "calibrations.flops_per_s": "Floating-point operations a second, measured",
    "runs.started_at": f"When its first worker began; {UTC}",
    "runs.ended_at": f"When it came to its final state; {UTC}",
    "runs.state": "queued, running, finished, pruned, diverged, killed, failed or lost",
    "runs.grid_id": "The grid it is a cell of",
    "runs.n_params": "Parameters of the network",
    "runs.duration_s": "Seconds it computed, over all attempts",
    "runs.code_version": "Version of the program that computed it",
    "runs.source": "measured here, or published: a row of somebody's table",
    "runs.notes": "Notes of a published row, or of who queued it",
    "metrics.val_bpb": "Bits per byte; NULL where nothing was evaluated",
    "metrics.lr": "Learning rate of the step",
    "decisions.decided_at": f"When; {UTC}",
    "events.at": f"When; {UTC}",
    "events.kind": "What kind of event, in a word",
    "events.message": "What happened, in words",
    "blocks.shard": "confirm, or test, which decides nothing",
    "predictions.high_bpb": "The upper end of that, bits per byte",
    "home": "`this_home` of the ledger it was written in; NULL: in this one, and not merged since",
    "experiments.ID": "The run's label",
    "experiments.Date": "Month and day it began",
    "experiments.Params": "Parameters, in thousands or millions",
    "experiments.Config": "Its configuration, in short",
    "experiments.Steps": "Optimizer steps done",
    "experiments.val_loss": "Nats per token on the search shard; div where it diverged",
    "experiments.vs Unigram": "Loss against that of the unigram model of the same text",
    "experiments.Status": "The newest verdict on it, or its state",
    "experiments.Notes": "Notes, or why it was tried",
}


def described() -> dict[str, tuple[str, dict[str, str]]]:
    """Each table and view with what it is and what its columns are, in the schema's order."""
    found = {}
    with Database(memory=True, execute_plugins=False) as empty:
        migrations.apply(empty)
        for name, text in empty.execute(
                "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view') AND "
                "substr(name, 1, 1) <> '_' AND name NOT LIKE 'sqlite%' ORDER BY rowid").fetchall():
            columns = [row[1] for row in empty.execute(f"PRAGMA table_xinfo({name})").fetchall()]
            about, said = commented(text, columns)
            found[name] = about, {column: said.get(column) or _unsaid(name, column)
                                  for column in columns}
    return found


def commented(text: str, columns: list[str]) -> tuple[str, dict[str, str]]:
    """The comments of a CREATE statement: on the table, and on those columns that have one."""
    about: list[str] = []
    said: dict[str, list[str]] = {}
    now: list[str] = []  # what a line goes on with that is a comment alone
    for line in text.splitlines():
        if more := _MORE.match(line):
            now.append(more[1])
        elif line.startswith("CREATE"):
            now = about
            now.append(line.partition("--")[2])
        elif (own := _COLUMN.match(line)) and own[1] in columns:
            now = said.setdefault(own[1], [])
            now.append(own[2] or "")
        else:
            now = []
    return _joined(about), {name: told for name, parts in said.items() if (told := _joined(parts))}


def _unsaid(table: str, column: str) -> str:
    return UNSAID.get(f"{table}.{column}") or UNSAID.get(column, "")


def _joined(parts: list[str]) -> str:
    text = " ".join(filter(None, map(str.strip, parts)))
    if text.startswith("...") or text.endswith("..."):
        return ""  # a sentence over several columns
    return text[:1].upper() + text[1:]
