"""Fields that no published night has moved yet: how seldom they are drawn, and by what step.

What each gains by itself was measured (`python -m tests.bench.gains`) and stands in prior.json, so
a search with a model ranks all of them, `variants`, from its first idea. What draws without a model
moves one of them in SHARE of all cases, and what goes through a list has them at its end.
"""

from typing import Any

from numpy.random import Generator

from engine.config import BOUNDS, MIXERS, Config
from strategies.legal import legal_kv_heads

NEWCOMERS = ("n_kv_head", "mixer", "residual_scalars", "bigram_buckets", "qk_norm")
SHARE = 0.05  # of the draws of random, explore and tpe: some two of a night's forty ideas
MUON_RATE = 2.0  # times AdamW's rate, where Muon was measured best of both
PAIRS = 4  # buckets a kind of token, at first; the speed runs that found them took 5


def newcomer(config: Config, rng: Generator) -> dict[str, Any]:
    """A step of one of NEWCOMERS that has an effect on this configuration."""
    known = config.canonical()
    names = [name for name in NEWCOMERS if known[name] is not None
             and (name != "n_kv_head" or config.n_head > 1)]
    name, up = names[int(rng.integers(len(names)))], bool(rng.integers(2))
    if name == "n_kv_head":
        return {name: fewer_key_heads(config) or legal_kv_heads(config.n_head, config.n_head)}
    if name == "mixer":
        return mixed_by(config, MIXERS[1 - MIXERS.index(config.mixer)])
    if name == "bigram_buckets":
        return {name: more_pairs(config) if up else fewer_pairs(config) or more_pairs(config)}
    return {name: not getattr(config, name)}


def variants(config: Config) -> list[dict[str, Any]]:
    """A step of every newcomer that has an effect here, each by itself, and Muon."""
    known, heads = config.canonical(), fewer_key_heads(config)
    found: list[dict[str, Any]] = [
        {"bigram_buckets": more_pairs(config)}, mixed_by(config, MIXERS[config.mixer == MIXERS[0]])]
    found += [{"n_kv_head": heads}] if heads else []
    found += [{name: not getattr(config, name)} for name in ("residual_scalars", "qk_norm")
              if known[name] is not None]
    if config.optimizer in ("adamw", "schedule_free"):  # whose rates are alike
        found.append({"optimizer": "muon", "lr": MUON_RATE * config.lr})
    return found


def fewer_key_heads(config: Config) -> int | None:
    """About half as many heads of keys as there are; None where there is one, or none at all."""
    if config.mixer != "attention" or config.kv_heads == 1:
        return None
    fewer = [n for n in range(1, config.kv_heads) if config.n_head % n == 0]
    return min(fewer, key=lambda n: abs(n - config.kv_heads / 2))


def more_pairs(config: Config) -> int:
    """Buckets for pairs of tokens: PAIRS a kind of token, or twice as many as there are."""
    wanted = 2 * config.bigram_buckets or PAIRS * config.vocab_size
    return min(wanted, int(BOUNDS["bigram_buckets"][1]))


def fewer_pairs(config: Config) -> int:
    """Half as many buckets; none where that is fewer than there are kinds of token."""
    half = config.bigram_buckets // 2
    return half if half >= config.vocab_size else 0


def mixed_by(config: Config, mixer: str) -> dict[str, Any]:
    """Fields that give the other mixer, with as many heads of keys as it may have."""
    fields: dict[str, Any] = {"mixer": mixer}
    if config.n_kv_head is not None and config.n_head % config.n_kv_head:
        fields["n_kv_head"] = legal_kv_heads(config.n_head, config.n_kv_head)
    return fields
