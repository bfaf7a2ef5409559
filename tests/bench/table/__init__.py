"""A wind tunnel of real runs: thousands of tiny trainings, and a model of what they scored.

    python -m tests.bench.table make --out runs.jsonl    # trains; goes on where it was stopped
    python -m tests.bench.table ask --out runs.jsonl     # trains what the model holds for best
    python -m tests.bench.table pack runs.jsonl          # runs.csv.xz, as it lies here
    python -m tests.bench.table fit                      # agent/simulate/tunnel.npz, and how good
    python -m tests.bench.table budgets runs.jsonl --out budgets.jsonl
    python -m tests.bench.table prior runs.jsonl budgets.jsonl --fit    # strategies/prior.json

In: the TinyStories sample and the built-in stories. Out: `load` gives the runs, and the fit answers
for any configuration in microseconds (agent/simulate/tunnel.py). May use agent, engine, strategies.
"""
