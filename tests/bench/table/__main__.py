"""The commands of the table: make, ask, pack, unpack, fit, budgets, prior."""

import argparse
import sys
from pathlib import Path

from engine.errors import UserError
from tests.bench.search import STORIES
from tests.bench.table import budgets, fit, packed, prior
from tests.bench.table.ask import run_ask
from tests.bench.table.make import make


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.table")
    commands = parser.add_subparsers(required=True)
    makes = commands.add_parser("make", help="train the runs; goes on where it was stopped")
    makes.add_argument("--n", type=int, default=3200, help="runs in all")
    makes.add_argument("--share", type=float, default=0.6, help="of the runs on TinyStories")
    makes.add_argument("--seed", type=int, default=0, help="of the draws")
    makes.set_defaults(run=make)
    asks = commands.add_parser("ask", help="train what the surface holds for best")
    asks.add_argument("--n", type=int, default=3, help="runs of a text and optimizer a round")
    asks.add_argument("--near", type=int, default=6, help="and so many near the best known")
    asks.add_argument("--rounds", type=int, default=4, help="the surface is fitted anew for each")
    asks.set_defaults(run=run_ask)
    for command in (makes, asks):
        command.add_argument("--out", type=Path, required=True, help="a line is added for each run")
        command.add_argument("--jobs", type=int, default=1, help="runs at a time")
        command.add_argument("--data", type=Path, default=STORIES, help="holds tinystories-*.txt")
        command.add_argument("--cache", type=Path, help="where the tokens lie; beside --out")
    packs = commands.add_parser("pack", help="compress the runs into the repository")
    packs.add_argument("runs", type=Path, help="what make wrote")
    packs.add_argument("--to", type=Path, default=packed.PATH)
    packs.set_defaults(run=packed.run_pack)
    unpacks = commands.add_parser("unpack", help="write the packed runs as make writes them")
    unpacks.add_argument("--out", type=Path, required=True)
    unpacks.add_argument("--table", type=Path, default=packed.PATH)
    unpacks.set_defaults(run=packed.run_unpack)
    fits = commands.add_parser("fit", help="fit the surface to the packed runs")
    fits.add_argument("--runs", type=Path, default=packed.PATH)
    fits.add_argument("--to", type=Path, default=fit.PATH)
    fits.add_argument("--json", action="store_true")
    fits.set_defaults(run=fit.run_fit)
    other = commands.add_parser("budgets", help="train at other budgets, around what is good")
    other.add_argument("runs", type=Path, help="what make wrote")
    other.add_argument("--out", type=Path, required=True, help="a line is added here for each run")
    other.add_argument("--data", type=Path, default=STORIES, help="where tinystories-*.txt lie")
    other.add_argument("--cache", type=Path, help="where the tokens lie; beside --out")
    other.set_defaults(run=budgets.make)
    priors = commands.add_parser("prior", help="choose what a new study starts from")
    priors.add_argument("runs", type=Path, help="what make wrote")
    priors.add_argument("budgets", type=Path, nargs="?", help="what budgets wrote")
    priors.add_argument("--ideas", action="append", default=[], type=prior.of_text,
                        help="TEXT=FILE that tests.bench.gains wrote")
    priors.add_argument("--fit", action="store_true", help="fit the model's constants, too")
    priors.add_argument("--to", type=Path, default=prior.PATH)
    priors.set_defaults(run=prior.run_prior)
    return parser.parse_args(words)


def main(words: list[str]) -> int:
    try:
        options = parse(words)
        return int(options.run(options))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
