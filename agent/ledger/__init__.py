"""Every write, every question, the schema: one SQLite file that people query by hand.

In come new runs, what became of them, decisions and events; out come records, frozen rows with the
columns as fields. `Reader` opens a ledger to look, `Ledger` to write, and migrations bring an
older file up to date. It uses `words` alone; sqlite-utils lives here.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from agent.ledger.anchor import Anchor as Anchor
    from agent.ledger.cells import cells_with as cells_with
    from agent.ledger.cells import grid_cells as grid_cells
    from agent.ledger.cells import is_of_law as is_of_law
    from agent.ledger.cells import is_on_text as is_on_text
    from agent.ledger.cells import is_part_or_whole as is_part_or_whole
    from agent.ledger.cells import part_sha256 as part_sha256
    from agent.ledger.cells import unique_tokens as unique_tokens
    from agent.ledger.devices import AT_HOME as AT_HOME
    from agent.ledger.devices import CONFIRMING as CONFIRMING
    from agent.ledger.devices import class_of as class_of
    from agent.ledger.devices import class_of_study as class_of_study
    from agent.ledger.devices import is_like as is_like
    from agent.ledger.devices import timed_on as timed_on
    from agent.ledger.ended import Claim as Claim
    from agent.ledger.ended import EndedRun as EndedRun
    from agent.ledger.ended import claims as claims
    from agent.ledger.ended import ended_runs as ended_runs
    from agent.ledger.ended import foretold as foretold
    from agent.ledger.ended import leads as leads
    from agent.ledger.ended import newest_harvest as newest_harvest
    from agent.ledger.ended import prediction_of as prediction_of
    from agent.ledger.experiments import EXPERIMENT_COLUMNS as EXPERIMENT_COLUMNS
    from agent.ledger.exported import EXPORTED as EXPORTED
    from agent.ledger.exported import Exported as Exported
    from agent.ledger.exported import export_table as export_table
    from agent.ledger.find import STATES as STATES
    from agent.ledger.find import WORDS as WORDS
    from agent.ledger.find import best_run as best_run
    from agent.ledger.find import corpus_of as corpus_of
    from agent.ledger.find import find_run as find_run
    from agent.ledger.find import last_state as last_state
    from agent.ledger.find import parent_of as parent_of
    from agent.ledger.find import what_now as what_now
    from agent.ledger.foreign import add_foreign as add_foreign
    from agent.ledger.foreign import foreign_uid as foreign_uid
    from agent.ledger.homes import housemates as housemates
    from agent.ledger.homes import is_of_home as is_of_home
    from agent.ledger.homes import near as near
    from agent.ledger.homes import this_home as this_home
    from agent.ledger.improved import Measures as Measures
    from agent.ledger.improved import in_words as in_words
    from agent.ledger.improved import measures as measures
    from agent.ledger.improved import note_measures as note_measures
    from agent.ledger.improved import same_improvement as same_improvement
    from agent.ledger.kernels import is_pair as is_pair
    from agent.ledger.kernels import kernels_of as kernels_of
    from agent.ledger.ledger import Ledger as Ledger
    from agent.ledger.logged import layers_of as layers_of
    from agent.ledger.logged import trace_of as trace_of
    from agent.ledger.meanings import described as described
    from agent.ledger.merge import Taken as Taken
    from agent.ledger.merge import rehearse as rehearse
    from agent.ledger.merge import require_other as require_other
    from agent.ledger.merge import take_in as take_in
    from agent.ledger.missing import Gap as Gap
    from agent.ledger.missing import gaps as gaps
    from agent.ledger.missing import gaps_in_words as gaps_in_words
    from agent.ledger.notes import Remark as Remark
    from agent.ledger.notes import remark_on as remark_on
    from agent.ledger.notes import remarks as remarks
    from agent.ledger.notes import set_remark as set_remark
    from agent.ledger.notes import with_remarks as with_remarks
    from agent.ledger.overview import RunRow as RunRow
    from agent.ledger.overview import run_rows as run_rows
    from agent.ledger.pace import pace_s as pace_s
    from agent.ledger.published import is_ledger as is_ledger
    from agent.ledger.published import new_rows as new_rows
    from agent.ledger.published import table_text as table_text
    from agent.ledger.queries import BLOCKED as BLOCKED
    from agent.ledger.queries import Queries as Queries
    from agent.ledger.questions import Recipe as Recipe
    from agent.ledger.questions import recipes as recipes
    from agent.ledger.reader import Reader as Reader
    from agent.ledger.reader import damage as damage
    from agent.ledger.reader import faults as faults
    from agent.ledger.reader import glance as glance
    from agent.ledger.records import ENDED as ENDED
    from agent.ledger.records import GENERATED as GENERATED
    from agent.ledger.records import LABEL_LETTERS as LABEL_LETTERS
    from agent.ledger.records import Blocks as Blocks
    from agent.ledger.records import Calibration as Calibration
    from agent.ledger.records import Corpus as Corpus
    from agent.ledger.records import Decision as Decision
    from agent.ledger.records import Earned as Earned
    from agent.ledger.records import Ending as Ending
    from agent.ledger.records import Event as Event
    from agent.ledger.records import GridCell as GridCell
    from agent.ledger.records import Layer as Layer
    from agent.ledger.records import Metric as Metric
    from agent.ledger.records import NewCalibration as NewCalibration
    from agent.ledger.records import NewCorpus as NewCorpus
    from agent.ledger.records import NewRun as NewRun
    from agent.ledger.records import Outcome as Outcome
    from agent.ledger.records import Prediction as Prediction
    from agent.ledger.records import Run as Run
    from agent.ledger.records import State as State
    from agent.ledger.records import Trace as Trace
    from agent.ledger.records import Verdict as Verdict
    from agent.ledger.starts import broken_start as broken_start
    from agent.ledger.studies import WITHDRAWN as WITHDRAWN
    from agent.ledger.studies import Waiting as Waiting
    from agent.ledger.studies import by_use as by_use
    from agent.ledger.studies import current_study as current_study
    from agent.ledger.studies import events_of_its_night as events_of_its_night
    from agent.ledger.studies import last_used as last_used
    from agent.ledger.studies import night_of as night_of
    from agent.ledger.studies import require_current as require_current
    from agent.ledger.studies import study_of as study_of
    from agent.ledger.studies import waiting_elsewhere as waiting_elsewhere
    from agent.ledger.studies import withdrawn_studies as withdrawn_studies
    from agent.ledger.underway import at_rung as at_rung
    from agent.ledger.underway import n_timed as n_timed
    from agent.ledger.underway import running_ids as running_ids
    from agent.ledger.withdrawal import withdraw as withdraw
    from agent.ledger.withdrawal import withdraw_study as withdraw_study
    from agent.ledger.withdrawal import withdrawn_runs as withdrawn_runs

__all__, __getattr__ = doors(__name__, {
    "anchor": ("Anchor",),
    "meanings": ("described",),
    "cells": ("cells_with", "grid_cells", "is_of_law", "is_on_text", "is_part_or_whole",
              "part_sha256", "unique_tokens"),
    "devices": ("AT_HOME", "CONFIRMING", "class_of", "class_of_study", "is_like", "timed_on"),
    "ended": ("Claim", "EndedRun", "claims", "ended_runs", "foretold", "leads",
              "newest_harvest", "prediction_of"),
    "exported": ("EXPORTED", "Exported", "export_table"),
    "find": ("STATES", "WORDS", "best_run", "corpus_of", "find_run", "last_state", "parent_of",
             "what_now"),
    "foreign": ("add_foreign", "foreign_uid"),
    "homes": ("housemates", "is_of_home", "near", "this_home"),
    "improved": ("Measures", "in_words", "measures", "note_measures", "same_improvement"),
    "ledger": ("Ledger",),
    "logged": ("layers_of", "trace_of"),
    "merge": ("Taken", "rehearse", "require_other", "take_in"),
    "missing": ("Gap", "gaps", "gaps_in_words"),
    "notes": ("Remark", "remark_on", "remarks", "set_remark", "with_remarks"),
    "overview": ("RunRow", "run_rows"),
    "pace": ("pace_s",),
    "published": ("is_ledger", "new_rows", "table_text"),
    "queries": ("BLOCKED", "Queries"),
    "reader": ("Reader", "damage", "faults", "glance"),
    "questions": ("Recipe", "recipes"),
    "kernels": ("is_pair", "kernels_of"),
    "experiments": ("EXPERIMENT_COLUMNS",),
    "records": ("Blocks", "Calibration", "Corpus", "Decision", "ENDED",
                "Earned", "Ending", "Event", "GENERATED", "GridCell", "LABEL_LETTERS", "Layer",
                "Metric", "NewCalibration", "NewCorpus", "NewRun", "Outcome", "Prediction", "Run",
                "State", "Trace", "Verdict"),
    "starts": ("broken_start",),
    "studies": ("WITHDRAWN", "Waiting", "by_use", "current_study", "events_of_its_night",
                "last_used", "night_of", "require_current", "study_of", "waiting_elsewhere",
                "withdrawn_studies"),
    "underway": ("at_rung", "n_timed", "running_ids"),
    "withdrawal": ("withdraw", "withdraw_study", "withdrawn_runs"),
})
