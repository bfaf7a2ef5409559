"""The published log beside this engine's runs of its recipes, and whether its findings stand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from agent.ledger import Queries, Run, cells_with, grid_cells

LEVEL = 0.03  # of the unigram's loss: as near counts as at its level
CEILING = -0.013  # below the unigram, the published best on the whole text (B1)
OVERFIT = -0.139  # below the unigram: the published loss on 5 stories (μ3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """One recipe: what was published of it, and what its runs here came to."""

    name: str
    recipe: str
    published_loss: float | None  # nats per token, in its own vocabulary
    published_vs: float | None  # the same relative to its unigram
    published_end: str  # finished, diverged, killed; claimed where there is no row
    losses: list[float] = field(default_factory=list)  # nats per token, of each finished seed
    versus: list[float] = field(default_factory=list)  # relative to the unigram here
    learnt: list[float] = field(default_factory=list)  # training loss relative to it
    n_diverged: int = 0
    n_waiting: int = 0

    @property
    def is_measured(self) -> bool:
        return bool(self.losses or self.n_diverged)


@dataclass(frozen=True, slots=True)
class PublishedClaim:
    """A published finding, and whether it stands here; None: its runs are not there yet."""

    name: str
    published: str
    stands: bool | None
    measured: str


def replicated_runs(ledger: Queries) -> list[Again]:
    """Each published row in its order, then what was only claimed, with the runs there are."""
    cells = cells_with(grid_cells(ledger), "replicate")
    own: dict[str, list[Run]] = {}
    for run in ledger.runs():
        if run.id in cells:
            own.setdefault(cells[run.id].size, []).append(run)
    unigrams = {one.id: one.unigram_nats for one in ledger.corpora()}
    rows = [run for run in ledger.runs() if run.source == "published" and run.strategy is None]
    found = [_again(row.label, row.config_text, own.pop(row.label, []), unigrams, row)
             for row in rows]
    return found + [_again(name, its[0].config_text, its, unigrams) for name, its in own.items()]


def _again(name: str, recipe: str, runs: Sequence[Run], unigrams: dict[int, float | None],
           row: Run | None = None) -> Again:
    done = [run for run in runs if run.state == "finished" and run.val_loss is not None]
    learnt = [run.train_loss / unigram - 1 for run in done
              if run.train_loss is not None and (unigram := unigrams.get(run.corpus_id or 0))]
    return Again(
        name=name, recipe=recipe, published_loss=row.val_loss if row else None,
        published_vs=row.vs_unigram if row else None,
        published_end=row.state if row else "claimed",
        losses=[run.val_loss for run in done if run.val_loss is not None],
        versus=[run.vs_unigram for run in done if run.vs_unigram is not None], learnt=learnt,
        n_diverged=sum(run.state == "diverged" for run in runs),
        n_waiting=sum(run.state in ("queued", "running") for run in runs))


def published_claims(found: Sequence[Again]) -> list[PublishedClaim]:
    """Each finding of the published log beside what was measured."""
    return list(_claims({one.name: one for one in found}))


def _claims(by_name: dict[str, Again]) -> Iterator[PublishedClaim]:
    wall = _versus(by_name, "B1")
    yield PublishedClaim("wall", "the loss stays at the unigram's level (B1: -1.3 %)",
                None if wall is None else abs(wall) <= LEVEL, _told("B1", wall))
    whole = {name: versus for name in ("B1", "μ1", "μ2", "E3")
             if (versus := _versus(by_name, name)) is not None}
    lowest = min(whole, key=lambda name: whole[name]) if whole else ""
    yield PublishedClaim("ceiling", "nothing on the whole text gets further below it than 1.3 %",
                whole[lowest] >= CEILING if len(whole) == 4 else
                False if whole and whole[lowest] < CEILING else None,
                _told(lowest, whole.get(lowest)))
    adamw, lion = _versus(by_name, "μ1"), _versus(by_name, "μ2")
    yield PublishedClaim("AdamW > Lion", "after 300 steps AdamW is lower (μ1 6.37, μ2 6.56)",
                None if adamw is None or lion is None else adamw < lion,
                f"{_told('μ1', adamw)}, {_told('μ2', lion)}")
    fast = by_name.get("E2")
    yield PublishedClaim("6e-4 diverges", "192d/6L diverges at a rate of 6e-4 (E2)",
                None if fast is None or not fast.is_measured else fast.n_diverged > 0,
                "not run yet" if fast is None or not fast.is_measured else
                f"{fast.n_diverged} of {fast.n_diverged + len(fast.losses)} seeds diverged")
    yield _on_few(by_name, "μ3", "5 stories overfit",
                  "5 stories are learnt to 13.9 % below the unigram (μ3)", is_learnt=True)
    yield _on_few(by_name, "100 stories", "100 stories fail",
                  "100 stories are not learnt below the unigram", is_learnt=False)


def _on_few(by_name: dict[str, Again], name: str, title: str, published: str, *,
            is_learnt: bool) -> PublishedClaim:
    """Of training on few stories: by the training loss, what the held-out text says beside it."""
    its = by_name.get(name)
    if its is None or not its.learnt:
        return PublishedClaim(title, published, None, "not run yet")
    learnt, held = fmean(its.learnt), fmean(its.versus) if its.versus else None
    stands = learnt <= OVERFIT if is_learnt else learnt >= 0
    beside = "" if held is None else f", {100 * held:+.1f} % on text held out"
    return PublishedClaim(title, published, stands,
                 f"{100 * learnt:+.1f} % from the unigram in training{beside}")


def _versus(by_name: dict[str, Again], name: str) -> float | None:
    """A recipe's mean loss relative to the unigram; None where it has no run."""
    its = by_name.get(name)
    return fmean(its.versus) if its and its.versus else None


def _told(name: str, versus: float | None) -> str:
    if versus is None:
        return f"{name} is not run yet" if name else "none of them is run yet"
    return f"{name} {100 * versus:+.1f} %"
