"""The trials of a night: each in a runner of its own, at most so many at once, watched as a sum."""

from agent.ledger import Run
from agent.machine import guard
from agent.trial.conclusion import Trial
from agent.trial.executor import Process
from agent.trial.runner import Runner
from engine.config import Config


class Slots:
    """So many runners, of which each has one trial or none.

    first  makes the others; it has the trial where only one at a time is computed
    """

    def __init__(self, first: Runner, n: int = 1) -> None:
        self._runners, self.n = [first], n

    @property
    def n_at_once(self) -> int:
        """Trials that may be under way now: what was asked for, or less where the place has less.
        """
        most = self._runners[0].executor.n_at_once
        return self.n if most is None else min(self.n, most)

    @property
    def busy(self) -> list[Runner]:
        """Runners with a trial, by whose turn it was first."""
        found = [(turn(runner.trial.run), runner) for runner in self._runners if runner.trial]
        return [runner for _, runner in sorted(found, key=lambda pair: pair[0])]

    @property
    def trials(self) -> list[Trial]:
        """What is under way, by whose turn it was first."""
        return [trial for runner in self.busy if (trial := runner.trial)]

    def __len__(self) -> int:
        return sum(runner.trial is not None for runner in self._runners)

    def free(self) -> Runner | None:
        """A runner for one more trial; None where there is no room."""
        if len(self) >= self.n_at_once:
            return None
        found = next((runner for runner in self._runners if runner.trial is None), None)
        if found is None:
            found = self._runners[0].another()
            self._runners.append(found)
        return found

    def adopt(self, run: Run, process: Process) -> bool:
        """Follow a worker that a daemon before this one started; whether there was room."""
        runner = self.free()
        if runner:
            runner.adopt(run, process)
        return runner is not None

    def ask_to_stop(self) -> None:
        for runner in self.busy:
            runner.ask_to_stop()

    def discount(self) -> None:
        """What is under way does not tell that another worker could begin by now."""
        for trial in self.trials:
            trial.is_witness = False

    def is_computing(self) -> bool:
        """Whether a worker is at work, and not only its end left to be noted."""
        return any(runner.is_computing() for runner in self.busy)

    # --- memory ------------------------------------------------------------------------------

    def look_around(self) -> None:
        """Tell each runner who is beside it; call before they are polled."""
        busy = self.busy
        for runner in busy:
            runner.n_others, runner.is_last = len(busy) - 1, runner is busy[-1]

    def guard(self) -> None:
        """Watch memory alone, while something else takes its time."""
        self.look_around()
        for runner in self.busy:
            runner.watch()
        self.watch_sum()

    def watch_sum(self) -> None:
        """Have the newest trial leave where all together take more than one was allowed."""
        busy = self.busy
        if len(busy) < 2 or any(trial.ending for trial in self.trials):
            return  # what leaves gives its memory back first
        taken_mb = sum(trial.group_mb or 0.0 for trial in self.trials)
        word = guard.may_run_together(taken_mb, len(busy), busy[-1].max_ram_mb)
        if not word.is_go:
            busy[-1].set_aside(word)

    def promised_mb(self) -> float:
        """What the trials under way will have taken, by prediction or, where it is more, by now."""
        return sum(max(foreseen_mb(trial.run), trial.peak_mb or 0.0) for trial in self.trials
                   if trial.is_watched)

    def owed_mb(self) -> float:
        """What they are still to take of what is free now."""
        return sum(max(0.0, foreseen_mb(trial.run) - (trial.group_mb or 0.0))
                   for trial in self.trials if trial.is_watched)


def turn(run: Run) -> tuple[bool, int]:
    """The order in which the runs of a night are begun and decided on: its study's noise first,
    then as they were asked for.
    """
    return run.strategy != "baseline", run.id


def foreseen_mb(run: Run) -> float:
    """The memory that a run was foreseen to take, its text and replicas among it."""
    return run.predicted_mb or Config.from_dict(run.config).predicted_mb(run.replicas or 1)
