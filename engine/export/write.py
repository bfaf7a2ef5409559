"""A model into a folder of another program's format: `hf`, `gguf` or `npz`."""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from engine.config import Config
from engine.errors import CheckpointError, ConfigError
from engine.export import gguf, hf, safetensors
from engine.export.folder import require_free, written_whole
from engine.export.layout import Whole, require_llama, weights
from engine.export.safetensors import Tell
from engine.export.vocabulary import visible_tokens
from engine.text import Progress

FORMATS = ("hf", "gguf", "npz")
TITLES = {"hf": "Hugging Face's Llama", "gguf": "GGUF's llama"}
WEIGHTS = {"hf": "model.safetensors", "gguf": "model.gguf", "npz": "model.npz"}
CARD = "README.md"
# Every file that an export may write, and may delete where it replaces an older one.
KNOWN = frozenset((*WEIGHTS.values(), CARD, "config.json", "generation_config.json",
                   "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"))


def export(model: Whole, to: str, folder: Path, card: str, name: str, *,
           replaces: bool = False, progress: Progress | None = None) -> dict[str, int]:
    """Write the model, its tokenizer and its card; the sizes in bytes of the files by name.

    to        one of FORMATS
    card      text of its README.md
    name      that programs show
    replaces  whether an older export in that folder may go

    The folder is whole or as it was. Raises ConfigError for what the format cannot say,
    CheckpointError where a weight is not finite, StorageError where the folder is not free or the
    disk is full.
    """
    require(model, to, folder, replaces=replaces)
    n_bytes = 4 * model.config.n_params
    texts = {CARD: card, **_texts(model, to)}
    with written_whole(folder, KNOWN, is_export, n_bytes, replaces=replaces) as part:
        for title, text in texts.items():
            with _durable(part / title) as file:
                file.write(text.encode())
        with _durable(part / WEIGHTS[to]) as file:
            _weights(file, model, to, name, _Counter(f"writing {WEIGHTS[to]}", n_bytes, progress))
        return {path.name: path.stat().st_size for path in sorted(part.iterdir())}


def is_sayable(config: dict[str, Any], to: str) -> bool:
    """Whether a format has words for the network of a configuration, by its fields."""
    try:
        if to in TITLES:
            require_llama(Config.from_dict(config), TITLES[to])
    except ConfigError:
        return False
    return True


def require(model: Whole, to: str, folder: Path, *, replaces: bool) -> None:
    """Raise what `export` would, before anything is written."""
    if to not in FORMATS:
        raise ConfigError(f"'{to}' is no format; use {', '.join(FORMATS)}")
    if to in TITLES:
        require_llama(model.config, TITLES[to])
        visible_tokens(model.tokenizer)
    if not np.isfinite(model.params.buffer).all():
        raise CheckpointError("the weights hold NaN or infinity, so the model is of no use "
                              "elsewhere either; export another run")
    require_free(Path(os.path.realpath(folder)), KNOWN, is_export, replaces=replaces)


def is_export(names: Collection[str]) -> bool:
    """Whether files of these names are a model that was exported."""
    return bool(set(names) & set(WEIGHTS.values()))


def _texts(model: Whole, to: str) -> Mapping[str, str]:
    if to == "hf":
        return hf.texts(model.config, model.tokenizer)
    if to == "npz":
        return {"config.json": json.dumps(model.config.to_dict(), indent=1) + "\n",
                "tokenizer.json": model.tokenizer.json}
    return {}


def _weights(file: BinaryIO, model: Whole, to: str, name: str, tell: Tell) -> None:
    if to == "hf":
        safetensors.write(file, weights(model.config, model.params), tell)
    elif to == "gguf":
        gguf.write(file, model, name, tell)
    else:
        np.savez(file, **model.params.views)  # type: ignore[arg-type]  # ** read as allow_pickle
        tell(model.params.buffer.nbytes)


@contextmanager
def _durable(path: Path) -> Iterator[BinaryIO]:
    """A new file that is on the disk once the block has ended."""
    with open(path, "xb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


class _Counter:
    """Tells progress how many bytes are done."""

    def __init__(self, stage: str, total: int, progress: Progress | None) -> None:
        self._stage, self._done, self._total, self._progress = stage, 0, total, progress

    def __call__(self, n_bytes: int) -> None:
        self._done += n_bytes
        if self._progress:
            self._progress(self._stage, self._done, self._total)
