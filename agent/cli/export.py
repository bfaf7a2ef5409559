"""Commands that take models to other programs and back: export and import-model."""

import shlex
from pathlib import Path
from typing import Any

import click

from agent.analysis import facts_of
from agent.cli.given import GivenPath
from agent.cli.main import main
from agent.cli.options import run_argument, which_run
from agent.cli.progress import Screen, once_slow
from agent.cli.status import as_json_option, show_json
from agent.cli.talk import tell
from agent.home import Home
from agent.ledger import Reader, Run, find_run, parent_of
from agent.night import desk
from agent.show import model_card
from agent.trial import adopt, sampler
from engine.errors import ConfigError
from engine.export import FORMATS, Whole, is_sayable, read_hf, require
from engine.export import export as export_model


@main.command()
@run_argument
@which_run
@click.option("--to", required=True, type=click.Choice(FORMATS),
              help="hf for transformers, gguf for llama.cpp, npz for numpy.")
@click.argument("folder", metavar="DIR", type=GivenPath(file_okay=False))
@click.option("--force", is_flag=True, help="Replace a model that was exported there.")
@as_json_option
@click.pass_obj
def export(home: Home, /, to: str, folder: Path, force: bool, as_json: bool, **which: Any) -> None:
    """Write the model of a run as a folder that other programs load.

    Example:  agent export best --to hf ./my-model
    """
    with Reader.open(home.ledger) as ledger:
        run = find_run(ledger, **which)
        facts = facts_of(ledger, run)
    model = sampler.load(run, home.run(run.uid)).model
    whole = Whole(model.config, model.flat, model.tokenizer)
    try:
        require(whole, to, folder, replaces=force)
    except ConfigError as error:
        raise ConfigError(f"{error}{_rather(home, run, to, folder)}") from error
    card = model_card(facts, model.config, to, model.step)
    with Screen() as screen:
        sizes = export_model(whole, to, folder, card, f"phi-auto {run.label}", replaces=force,
                             progress=once_slow(screen.stage))
    if as_json:
        show_json({"label": run.label, "step": model.step, "to": to,
                   "path": str(folder.absolute()), "files": sizes})
    else:
        size = f"{sum(sizes.values()) / 1e6:.1f} MB"
        tell(f"{run.label} at step {model.step:,} is in {folder} as {to}: {len(sizes)} "
             f"files, {size}; its README.md says how to use it")


def _rather(home: Home, run: Run, to: str, folder: Path) -> str:
    """The best run of the same study whose model that format can say, in words; else nothing."""
    with Reader.open(home.ledger) as ledger:
        parent = parent_of(ledger, run) if run.calibration_id is None else run
        study = parent and parent.calibration_id
        known = ledger.study_runs(study) if study else []
    scored = sorted((one.val_bpb, one.id, one) for one in known
                    if one.state == "finished" and one.val_bpb is not None)
    for bpb, _, one in scored:
        if home.run(one.uid).checkpoint.exists() and is_sayable(one.config, to):
            gap = bpb - (bpb if run.val_bpb is None else run.val_bpb)
            how = f", {abs(gap):.4f} bits/byte {'behind' if gap > 0 else 'ahead'}," if gap else ""
            command = shlex.join(["agent", "export", one.label, "--to", to, str(folder)])
            return f"; {one.label}{how} is the best of its study that can: {command}"
    return ""


@main.command("import-model")
@click.argument("folder", metavar="DIR", type=GivenPath(exists=True, file_okay=False))
@click.pass_obj
def import_model(home: Home, folder: Path) -> None:
    """Take a model in from a folder that `agent export --to hf` wrote.

    Example:  agent import-model ./my-model
    """
    model = read_hf(folder)
    with Screen() as screen, desk(home, screen, screen.stage) as at:
        run = adopt(at.ledger, home, model, str(folder.absolute()), at.clock.stamp())
    tell(f"{run.label} is the model of {folder}, {model.config.n_params:,} parameters; "
         f"`agent sample {run.label}` lets it write")
