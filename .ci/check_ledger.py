"""Ask a night's ledger, with sqlite3 alone, whether the night was whole."""

import sqlite3
import sys

CLAIMS = {
    "at least two runs finished":
        "SELECT count(*) >= 2 FROM runs WHERE state = 'finished' AND source = 'measured'",
    "no run is left in a non-terminal state":
        "SELECT count(*) = 0 FROM runs WHERE state IN ('queued', 'running')",
    "every run that ended has exactly one decision of its own":  # others may follow from it
        "SELECT count(*) = 0 FROM runs WHERE source = 'measured' AND "
        "(SELECT count(*) FROM decisions WHERE run_id = runs.id AND verdict NOT IN "
        "('confirmed', 'refuted', 'undecided', 'ablated')) != 1",
    "every finished run has its numbers":
        "SELECT count(*) = 0 FROM runs WHERE state = 'finished' AND source = 'measured' AND "
        "(val_loss IS NULL OR val_bpb IS NULL OR vs_unigram IS NULL OR peak_mb IS NULL "
        "OR tok_per_s IS NULL OR steps IS NULL)",
    "every finished run has a curve that ends at its loss":
        "SELECT count(*) = 0 FROM runs r WHERE state = 'finished' AND source = 'measured' AND "
        "val_loss IS NOT (SELECT val_loss FROM metrics WHERE run_id = r.id AND step = r.steps)",
    "memory was predicted within 20 %":
        "SELECT count(*) = 0 FROM runs WHERE state = 'finished' AND source = 'measured' AND "
        "abs(predicted_mb / peak_mb - 1) > 0.2",
    "the night's start and end are recorded":
        "SELECT count(DISTINCT kind) = 2 FROM events WHERE kind IN ('night', 'night_over')",
    "the yardsticks are in their order":
        "SELECT min(uniform_nats > unigram_nats AND unigram_nats > bigram_nats) FROM corpora",
}


def main(path: str) -> int:
    """Exit status 0 when every claim holds and the file is sound."""
    db = sqlite3.connect(path)
    failures = [claim for claim, sql in CLAIMS.items() if not db.execute(sql).fetchone()[0]]
    if db.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
        failures.append("the file is sound")
    if db.execute("PRAGMA foreign_key_check").fetchall():
        failures.append("every reference leads somewhere")
    n_finished = db.execute("SELECT count(*) FROM runs WHERE state = 'finished'").fetchone()[0]
    for failure in failures:
        sys.stderr.write(f"does not hold: {failure}\n")
    sys.stdout.write(f"{len(CLAIMS) + 2 - len(failures)} of {len(CLAIMS) + 2} claims hold; "
                     f"{n_finished} runs finished\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
