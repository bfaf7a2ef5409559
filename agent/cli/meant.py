"""What a person meant who used another program's word: by its meaning first, then by letters.

A word of another meaning is worse than none, so a neighbour by letters has to be a near one.
"""

import difflib
from collections.abc import Iterable, Mapping

NEAR = 0.75  # of two words' letters have to be the same, in their order

COMMANDS: Mapping[str, str] = {
    **dict.fromkeys(("ls", "list", "history", "experiments", "results", "jobs"), "runs"),
    **dict.fromkeys(("start", "go", "begin", "launch", "search", "tune", "sweep", "optimize",
                     "night", "daemon", "up", "continue"), "run"),
    **dict.fromkeys(("ps", "top", "stat", "state", "dashboard", "watch", "monitor", "progress",
                     "info"), "status"),
    **dict.fromkeys(("logs", "tail", "output", "events"), "log"),
    **dict.fromkeys(("kill", "quit", "exit", "abort", "cancel", "end", "down", "halt", "shutdown"),
                    "stop"),
    **dict.fromkeys(("generate", "gen", "write", "text", "complete", "prompt", "infer", "inference",
                     "say", "speak"), "sample"),
    **dict.fromkeys(("talk", "dialog", "converse", "interactive", "repl"), "chat"),
    **dict.fromkeys(("convert", "gguf", "hf", "huggingface", "safetensors", "onnx", "npz"),
                    "export"),
    **dict.fromkeys(("load-model", "from-pretrained"), "import-model"),
    **dict.fromkeys(("diff", "vs", "versus", "cmp", "delta"), "compare"),
    **dict.fromkeys(("cat", "describe", "inspect", "view", "get", "details", "config"), "show"),
    **dict.fromkeys(("add", "queue", "try", "submit", "push", "propose", "idea", "suggest"),
                    "enqueue"),
    **dict.fromkeys(("drop", "remove", "rm", "delete", "dequeue", "unqueue", "discard",
                     "forget", "clear", "purge"), "withdraw"),
    **dict.fromkeys(("glossary", "words", "word", "define", "meaning", "terms", "what", "man"),
                    "explain"),
    **dict.fromkeys(("dask", "slurm", "workers", "worker", "machines", "nodes", "distributed"),
                    "cluster"),
    **dict.fromkeys(("fit", "finetune", "fine-tune"), "train"),
    **dict.fromkeys(("hold", "suspend", "sleep", "wait"), "pause"),
    **dict.fromkeys(("unpause", "wake"), "resume"),
    **dict.fromkeys(("check", "health", "diagnose", "verify", "env"), "doctor"),
    **dict.fromkeys(("ngram", "ngrams", "yardsticks", "unigram", "corpora", "corpus"),
                    "baselines"),
    **dict.fromkeys(("study", "projects", "campaigns"), "studies"),
    **dict.fromkeys(("winner", "top1", "champion"), "best"),
    **dict.fromkeys(("tree", "ancestors", "chain", "parents", "genealogy", "steps"), "lineage"),
    **dict.fromkeys(("ablation", "features", "fields", "params", "sensitivity", "fanova"),
                    "importance"),
    **dict.fromkeys(("where", "dir", "model", "checkpoint", "which"), "path"),
    **dict.fromkeys(("combine", "sync", "join", "union", "pull", "collect"), "merge"),
    **dict.fromkeys(("load", "restore"), "import"),
    "markdown": "table",
    **dict.fromkeys(("html", "page", "web", "plot", "figure", "figures", "visualize"), "report"),
    **dict.fromkeys(("csv", "jsonl", "parquet", "pandas", "dump"), "export-runs"),
    **dict.fromkeys(("scan", "matrix"), "grid"),
    **dict.fromkeys(("law", "chinchilla", "exponents", "thresholds"), "scaling"),
    **dict.fromkeys(("sim", "simulation", "test"), "simulate"),
}

# A command that has none of these options passes over what is meant.
OPTIONS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("time", "hours", "duration", "max-time", "timeout", "budget", "until"),
                    ("--for", "--run-for")),
    **dict.fromkeys(("trials", "n-trials", "max-runs", "n-runs", "num-runs", "count"),
                    ("--runs", "--n")),
    **dict.fromkeys(("max-tokens", "max-new-tokens", "n-tokens", "num-tokens", "length", "token"),
                    ("--tokens", "--run-tokens")),
    **dict.fromkeys(("iters", "max-iters", "iterations", "steps", "max-steps", "n-steps", "epochs"),
                    ("--steps", "--run-tokens")),
    **dict.fromkeys(("data", "dataset", "text", "file", "input", "train-file"), ("--corpus",)),
    **dict.fromkeys(("validation", "val", "eval", "dev", "valid-file"), ("--valid",)),
    **dict.fromkeys(("workers", "threads", "processes", "jobs", "cores", "cpus", "n-jobs"),
                    ("--replicas",)),
    **dict.fromkeys(("memory", "ram", "mem", "max-memory", "max-mem"), ("--max-ram",)),
    **dict.fromkeys(("battery",), ("--min-battery",)),
    **dict.fromkeys(("heat", "temp", "max-temp"), ("--max-heat", "--temperature")),
    **dict.fromkeys(("config", "param", "field", "override", "hparams"), ("--set",)),
    **dict.fromkeys(("dir", "root", "folder", "db", "ledger", "directory", "out", "workdir"),
                    ("--home",)),
    **dict.fromkeys(("follow", "tail"), ("--follow",)),
    **dict.fromkeys(("output", "out", "save"), ("--write",)),
    **dict.fromkeys(("parent", "base"), ("--from",)),
    **dict.fromkeys(("samples", "num-samples", "n-samples"), ("--n",)),
    **dict.fromkeys(("random-seed", "random-state", "rng"), ("--seed",)),
    **dict.fromkeys(("all", "whole", "overall"), ("--any",)),
}


def command(word: str, known: Iterable[str]) -> str | None:
    """The command that a word means; None where none is near."""
    names, plain = list(known), _plain(word)
    words = {one: meant for one, meant in COMMANDS.items() if meant in names}
    words |= {name: name for name in names}
    return words.get(plain) or words.get(_nearest(plain, words))


def option(typed: str, known: Iterable[str]) -> str | None:
    """The option of a command that a word means; None where none is near."""
    names, plain = [name for name in known if name.startswith("--")], _plain(typed)
    words = {one: next(iter(has)) for one, meant in OPTIONS.items()
             if (has := [name for name in meant if name in names])}
    if plain in OPTIONS:
        return words.get(plain)
    words |= {_plain(name): name for name in names}
    return words.get(_nearest(plain, words))


def _nearest(word: str, words: Iterable[str]) -> str:
    """The word that differs by a slip of the finger, or whose only beginning was typed."""
    known = list(words)
    longer = [one for one in known if len(word) > 2 and one.startswith(word)]
    slipped = [one for one in known if sorted(one) == sorted(word)]
    near = difflib.get_close_matches(word, known, n=1, cutoff=NEAR)
    return next(iter([*slipped, *near, *(longer if len(longer) == 1 else [])]), "")


def _plain(word: str) -> str:
    return word.strip("-").lower().replace("_", "-")
