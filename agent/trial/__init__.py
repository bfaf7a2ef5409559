"""One run from its claim to its final state, and the child process that computes it.

In comes a queued run with its token files; out come its metrics and its end in the ledger. Daemon
and worker speak through the files of the run's folder only, so either may die: a worker is adopted,
a run goes on from its checkpoint. It uses `ledger`, `machine`, `home` and the engine.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.trial.adoption import adopt as adopt
    from agent.trial.conclusion import CROWDED as CROWDED
    from agent.trial.conclusion import RETRY as RETRY
    from agent.trial.conclusion import last_words as last_words
    from agent.trial.events import read_events as read_events
    from agent.trial.events import this_attempt as this_attempt
    from agent.trial.executor import Executor as Executor
    from agent.trial.executor import Here as Here
    from agent.trial.executor import Measuring as Measuring
    from agent.trial.executor import Process as Process
    from agent.trial.executor import Spawn as Spawn
    from agent.trial.executor import Where as Where
    from agent.trial.executor import spawn_worker as spawn_worker
    from agent.trial.job import NUMBERS as NUMBERS
    from agent.trial.job import STOPPED as STOPPED
    from agent.trial.job import STORAGE as STORAGE
    from agent.trial.job import UNREADY as UNREADY
    from agent.trial.job import Job as Job
    from agent.trial.orphan import Adopted as Adopted
    from agent.trial.orphan import end_orphan as end_orphan
    from agent.trial.orphan import end_orphans as end_orphans
    from agent.trial.orphan import living_worker as living_worker
    from agent.trial.orphan import start_ticks as start_ticks
    from agent.trial.prepare import Progress as Progress
    from agent.trial.prepare import ShortOfMemory as ShortOfMemory
    from agent.trial.prepare import Source as Source
    from agent.trial.prepare import Stopped as Stopped
    from agent.trial.prepare import Texts as Texts
    from agent.trial.prepare import require_windows as require_windows
    from agent.trial.prepare import token_files as token_files
    from agent.trial.prompts import prompts_of as prompts_of
    from agent.trial.runner import CONFIRMING as CONFIRMING
    from agent.trial.runner import HARVEST as HARVEST
    from agent.trial.runner import Runner as Runner
    from agent.trial.runner import Unready as Unready
    from agent.trial.slots import Slots as Slots
    from agent.trial.slots import foreseen_mb as foreseen_mb
    from agent.trial.slots import turn as turn
    from agent.trial.task import Task as Task

__all__, __getattr__ = doors(__name__, {
    "adoption": ("adopt",),
    "conclusion": ("CROWDED", "RETRY", "last_words"),
    "events": ("read_events", "this_attempt"),
    "executor": ("Executor", "Here", "Measuring", "Process", "Spawn", "Where", "spawn_worker"),
    "job": ("Job", "NUMBERS", "STOPPED", "STORAGE", "UNREADY"),
    "orphan": ("Adopted", "end_orphan", "end_orphans", "living_worker", "start_ticks"),
    "prepare": ("Progress", "ShortOfMemory", "Source", "Stopped", "Texts", "require_windows",
                "token_files"),
    "prompts": ("prompts_of",),
    "runner": ("CONFIRMING", "HARVEST", "Runner", "Unready"),
    "slots": ("Slots", "foreseen_mb", "turn"),
    "task": ("Task",),
}, modules=("rung", "sampler"))
