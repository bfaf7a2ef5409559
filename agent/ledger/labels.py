"""What to say of a label that no run has: the one that was meant, or what labels look like."""

import difflib
import re
from collections.abc import Sequence

N_NEAR = 3
# Letters that are taken for the digits behind a label's own letter.
ALIKE = str.maketrans({"l": "1", "I": "1", "i": "1", "|": "1", "O": "0", "o": "0"})


def hint(typed: str, labels: Sequence[str]) -> str:
    """The end of the sentence that there is no such run; labels in the order of queuing."""
    known = {label.upper(): label for label in labels}
    meant = known.get((typed[:1] + typed[1:].translate(ALIKE)).upper())
    if meant:
        return f"did you mean {meant}?"
    if re.fullmatch(r"[^\W\d_]\d+", typed):
        near = difflib.get_close_matches(typed.upper(), labels, n=N_NEAR, cutoff=0.5)
        if near:
            return f"near it: {', '.join(near)}"
    if not labels:
        return "this ledger has none yet, and `agent run --for 4m` makes some"
    return f"a label is a letter and a number, such as {labels[-1]}, and `agent runs` lists them"
