"""A model that was trained elsewhere, as a run's folder that every command finds its way in."""

import hashlib
from typing import Any

from agent.home import Home
from agent.ledger import Ledger, Run, add_foreign, foreign_uid
from agent.trial.job import Job
from engine.export import SAID, Whole
from engine.native import NUMPY
from engine.training import checkpoint, make_optimizer


def adopt(ledger: Ledger, home: Home, model: Whole, place: str, now: str) -> Run:
    """The run that stands for a model; the known one where it was taken in before.

    Its checkpoint is written first, so that a row never lacks one. StorageError where the disk is
    full.
    """
    uid = foreign_uid(_digest(model))
    folder = home.run(uid)
    if not (ledger.has_uid(uid) and folder.checkpoint.exists()):
        folder.root.mkdir(parents=True, exist_ok=True)
        tokenizer = folder.root / "tokenizer.json"
        model.tokenizer.save(tokenizer)
        checkpoint.save(folder.checkpoint, *_state(model))
        Job(config=model.config, seed=0, budget_tokens=0, train_tokens="-", valid_tokens="-",
            n_valid_bytes=0, tokenizer=str(tokenizer)).write(folder.job)
    told = {name: value for name, value in model.config.to_dict().items() if name in SAID}
    return add_foreign(ledger, uid, model.config, told, place, now)


def _state(model: Whole) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a checkpoint holds of it: an optimizer that has made no step, too."""
    optimizer = make_optimizer(model.config, kernels=NUMPY)  # it computes nothing
    slots = {f"optimizer.{name}": slot for name, slot in optimizer.slots.items()}
    return {"params": model.params.buffer, **slots}, {
        "step": 0, "config": model.config.to_dict(), "optimizer": optimizer.scalars(),
        "tokenizer": model.tokenizer.json}


def _digest(model: Whole) -> str:
    """The same for the same weights in the same network with the same words."""
    found = hashlib.sha256(model.params.buffer.tobytes())
    found.update(repr(model.config.to_dict()).encode() + model.tokenizer.json.encode())
    return found.hexdigest()
