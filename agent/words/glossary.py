"""What the words on the screen mean, one sentence each; `agent explain` prints them."""

import difflib
import re
from collections.abc import Mapping

from agent.words.said import cut
from agent.words.settings import FIELDS, IDEAS
from engine.errors import UserError
from engine.fields import CHOICES

NEAR = 0.7  # of two words' letters have to be the same
SHOWN = 40  # letters of a word that nobody knows

LABEL = re.compile(r"[a-z]\d+[a-z]?")
SIZE = re.compile(r"\d+d/\d+l")  # 128d/4L

GLOSSARY: Mapping[str, str] = {
    "ablated": "a confirmed step that was left out again, since the model does as well without it",
    "arm": "one of the two configurations that a test trains on the same seeds",
    "as predicted": "a harvest whose score lies in the 95 % interval that was written down before",
    "balanced": "a family of shapes as wide for their depth as 128d/4L; deep, wide and gqa4 differ",
    "baseline": "where a study starts: one configuration on five seeds",
    "batch": "the kept steps that one test on fresh seeds is about; also the windows of one step",
    "block": "one layer of the model, or a piece of held-out text over which an interval is taken",
    "builtin": "20,000 children's stories that the program writes from some 14 plots; easy text",
    "calibrating": "the baseline runs on its seeds, which measures the noise",
    "best": "the run of a study with the fewest bits per byte; arms of a test do not count",
    "bits/byte": "how many bits the model needs for a byte of text it has not seen; less is better",
    "claim": "a gain that fresh seeds confirmed, with its 95 % interval",
    "confirmed": "better than before on two to five fresh seeds and text that chose nothing",
    "discarded": "not better than the head in one run by 0.7 of what a difference of two varies",
    "degrees of freedom": "how many independent numbers a noise rests on; few widen intervals",
    "diverged": "the loss grew without bound or was no number; says something of the configuration",
    "ended": "a run of which nothing is left to compute: finished, pruned, diverged or broken",
    "explore": "a strategy that draws shapes and recipes from all that is legal, far from the head",
    "failed": "an error ended the run; `agent show` tells which",
    "finished": "all tokens trained, and scored",
    "foretold": "what was written down of a score before its run began",
    "fresh seed": "a seed that no idea was chosen on, so that its score holds no luck",
    "grid": "models of several sizes on several amounts of text, to fit a law to",
    "guard": "what looks after memory, battery, heat, disk and hours, and pauses a night for them",
    "hand": "a run that a person asked for: `agent train` or `agent enqueue`",
    "harvest": "the confirmed configuration grown to what the last hours of a night can carry",
    "home": "the folder with one agent's ledger, runs and texts",
    "head": "the configuration that the next idea changes",
    "interval": "where the true gain lies with 95 % certainty, by chance of seeds and texts",
    "kept": "better than the head in one run by 0.7 of what a difference of two varies: a lead",
    "kernels": "loops of a training step in C, where a compiler is: as exact as numpy, and faster",
    "killed": "the system or the memory limit ended the run; says nothing of the idea",
    "label": "B baseline, E idea, C and A arms of tests, G cell of a grid, T by hand, H harvest, "
             "I improved, M imported",
    "lead": "a run that was kept and that no fresh seed has tested yet",
    "ledger": "the one SQLite file that keeps all that was done and decided",
    "lost": "nobody knows how the run ended, or it was withdrawn; says nothing of the idea",
    "nats": "the loss that training lowers, a token; 1 nat is 1.44 bits",
    "noise": "how far runs differ that differ in their seed alone, by one standard deviation (±); "
             "a difference of two runs varies by its own, up to 1.4 times that",
    "not as predicted": "a harvest whose score lies outside the interval, on either side",
    "pair": "the new and the old configuration, trained on one and the same seed",
    "peak": "the most memory that a run took at once, all its processes together",
    "plateau": "25 ideas in a row kept nothing: 15 of other shapes are tried, 15 of other sizes, "
               "and the night ends",
    "prior": "results of other studies that come with the program: where first ideas come from",
    "pruned": "given up at a quarter of its tokens, where it was not among the better ones",
    "queued": "waits until `agent run` gets to it",
    "recorded": "measured and not judged by itself: the arm of a test, a grid's cell, one by hand",
    "refuted": "worse on fresh seeds, so these ideas are taken back",
    "running": "a worker computes it now",
    "replicas": "processes that share out the rows of each step of one run",
    "rule": "the version of the arithmetic that decided, such as two-tier/6: search, then test",
    "rung": "a quarter of a run's tokens, where a bad one is given up",
    "seed": "the number that fixes initial weights and the order of the text",
    "s_d": "by how much a difference of two runs varies with the seed, one standard deviation",
    "SF-AdamW": "AdamW without a schedule: schedule_free (Defazio and others 2024)",
    "shard": "a part of the text that is held out of training: search, confirm or test",
    "silent test": "what is confirmed, scored on text that decides nothing",
    "size": "128d/4L is a model 128 wide with 4 layers",
    "source": "where a run comes from: measured here, published, or of another device's ledger",
    "step": "a change that was kept; also one update of the weights",
    "study": "one text, one start, one number of tokens a run, so that its runs compare",
    "tok/s": "tokens trained in a second, scoring not counted",
    "trunk": "a run whose first part was another's: training that both have in common is done once",
    "uid": "the name of a run's folder, the same on every device",
    "undecided": "five fresh seeds did not tell; the idea stays for now",
    "unigram": "a model that counts single tokens; bigram counts pairs, trigram triples",
    "warm-up": "the first part of a run, in which the learning rate rises from nothing",
    "withdrawn": "taken back by a person before it ran",
    "yardstick": "a counting model (uniform, unigram, bigram, trigram) that a run is held against",
    "z": "a gain in units of chance; it is confirmed where z is at least the number beside it",
}

# Other words of the screen, and the fields by their title alone.
SAME: Mapping[str, str] = {
    "σ": "noise", "sigma": "noise", "bpb": "bits/byte", "bits": "bits/byte", "95 %": "interval",
    "trigram": "unigram", "bigram": "unigram", "uniform": "yardstick", "idea": "step",
    "confirm": "confirmed", "ablate": "ablated", "test": "silent test", "improve": "label",
    "silent": "silent test", "fresh": "fresh seed", "predicted": "as predicted",
    "nats/token": "nats", "val_loss": "nats", "val_bpb": "bits/byte", "confirm_bpb": "bits/byte",
    "test_bpb": "bits/byte", "waiting": "queued", "waits": "queued", "evidence": "claim",
    "two-tier": "rule", "df": "degrees of freedom", "deep": "balanced", "wide": "balanced",
    "gqa4": "balanced", "family": "balanced", "least": "kept", "stories": "builtin",
    **dict.fromkeys("abceghimt", "label"),  # a letter alone, as summaries have it
    **{word: title if title == name else f"{title} ({name})"
       for name, (title, _) in FIELDS.items()
       for word in (title, *CHOICES.get(name, ())) if word not in GLOSSARY}}


def explained(word: str) -> tuple[str, str]:
    """A word as it stands on the screen, and its meaning; UserError names the nearest ones."""
    every = everything()
    known = {one.lower(): one for one in every}
    names = {**{name: titled(name) for name in FIELDS}, **SAME}
    plain = " ".join(word.lower().split()).replace(" per ", "/")
    plain = "two-tier" if plain.startswith("two-tier/") else plain
    found = next((one[key] for key in (plain, plain.removesuffix("s")) for one in (names, known)
                  if key in one), None)
    if found is None and SIZE.fullmatch(plain):
        found = "size"
    if found is None and LABEL.fullmatch(plain):
        raise UserError(f"{word.upper()} is a run: `agent show {word.upper()}` tells all about it, "
                        "and `agent explain label` what its letter means")
    if found is None:
        near = difflib.get_close_matches(plain, known, n=3, cutoff=NEAR)
        hint = (f"did you mean {' or '.join(known[one] for one in near)}?" if near
                else "`agent explain` lists all")
        raise UserError(f"'{cut(word, SHOWN)}' is no word of this glossary; {hint}")
    return found, every[found]


def titled(name: str) -> str:
    """A field as the screen has it, with its name in a configuration where that is another."""
    title = FIELDS[name][0]
    return title if title == name else f"{title} ({name})"


def everything() -> dict[str, str]:
    """All words: those of a night, the fields of a configuration, the strategies."""
    fields = {titled(name): meaning for name, (_, meaning) in FIELDS.items()}
    return {**GLOSSARY, **fields, **IDEAS}
