"""`agent enqueue`: what a person typed, what is refused, and where the idea goes."""

import dataclasses
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent.cli import withdraw as cli_withdraw
from agent.cli.main import main
from agent.home.lock import only_one
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from agent.night.enqueue import MAX_BYTES, Wanted, changed, idea_of, parse
from engine.config import Config
from engine.errors import ConfigError, UserError
from tests.support import example_ledger as example
from tests.support.example_home import a_home, agent, run_called, value
from tests.support.parts import NOW, TINY, a_study

NOTHING = io.StringIO()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return a_home(tmp_path / "home")


def refused(home: Home, *words: str) -> str:
    result = agent(home, "enqueue", *words)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("agent: ").strip()


# --- what was typed --------------------------------------------------------------------------


def test_pairs_json_and_standard_input_say_the_same(tmp_path: Path) -> None:
    path = tmp_path / "idea.json"
    path.write_text('{"lr": 1e-3, "n_layer": 6}')
    wanted = Config(lr=1e-3, n_layer=6)
    assert changed(Config(), ["lr=1e-3", "n_layer=6"], NOTHING) == wanted
    assert changed(Config(), [str(path)], NOTHING) == wanted
    assert changed(Config(), ["-"], io.StringIO(path.read_text())) == wanted


def test_a_whole_configuration_replaces_the_whole() -> None:
    text = json.dumps(TINY.to_dict())
    assert changed(Config(), ["-"], io.StringIO(text)) == TINY


@pytest.mark.parametrize(("text", "sentence"), [
    ("rubbish", "the idea is no JSON: Expecting value: line 1"),
    ('{"lr": NaN}', "the idea is no JSON: NaN is not a number there"),
    ('{"lr": 1e-3, "lr": 2e-3}', "the idea gives lr twice; give each field once"),
    ("[1]", 'must be one JSON object of fields to change, such as {"lr": 0.001}'),
    ("{}", 'must be one JSON object of fields to change, such as {"lr": 0.001}'),
    ("[" * 100_000, 'nested too deeply; it is one object, such as {"lr": 0.001}'),
    ('{"lr": 1' + "0" * 5000 + "}", "the idea is no JSON: "),
])
def test_json_is_read_strictly(text: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        parse(text)
    assert sentence in str(error.value)


@pytest.mark.parametrize(("text", "sentence"), [
    ('{"speed": 1}', "unknown field 'speed'; known: n_embd, n_layer"),
    ('{"lr": "fast"}', "lr='fast' is not a finite number"),
    ('{"n_layer": 2.5}', "n_layer=2.5 is not a whole number"),
    ('{"n_head": 3}', "n_head=3 does not divide n_embd=128"),
    ('{"optimizer": ["lion"]}', r"optimizer=\['lion'\] is not known"),
])
def test_a_field_that_is_not_legal_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        changed(Config(), ["-"], io.StringIO(text))


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"\xff{}")
    for name, why in {"nowhere": "No such file or directory", "latin": "it is not UTF-8 text",
                      "": "Is a directory"}.items():
        with pytest.raises(UserError, match=(
                f"{tmp_path / name} cannot be read: {why}; give key=value pairs such as lr=1e-3, "
                "a JSON file, or - for standard input")):
            changed(Config(), [str(tmp_path / name)], NOTHING)


def test_a_file_without_end_is_not_read_to_it() -> None:
    with pytest.raises(UserError, match="- is over 65,536 characters long; an idea has a few f"):
        changed(Config(), ["-"], io.StringIO(" " * (MAX_BYTES + 1)))


# --- the idea --------------------------------------------------------------------------------


def idea(home: Home, *texts: str, **options: Any) -> Any:
    values: dict[str, Any] = {"seed": None, "parent": None, "max_ram_mb": 3000.0}
    with Ledger.open(home.ledger, read_only=True) as ledger:
        return idea_of(ledger, home, Wanted(texts=texts, **values | options), NOW, NOTHING)


def test_an_idea_departs_from_the_head_on_its_seed(home: Home) -> None:
    found = idea(home, "n_layer=6")
    assert found.config == Config(lr=2e-3, n_layer=6)
    assert (found.parent_id, found.calibration_id, found.seed) == (
        run_called(home, "E1").id, 1, 0)
    assert found.reason == "layers 4 → 6: a person's idea"


def test_another_run_and_another_seed_may_be_named(home: Home) -> None:
    found = idea(home, "n_layer=6", parent="e2", seed=7)
    assert (found.config, found.seed) == (Config(n_embd=64, n_layer=6), 7)
    assert found.parent_id == run_called(home, "E2").id


def test_the_same_configuration_on_another_seed_is_an_idea(home: Home) -> None:
    assert idea(home, "lr=2e-3", seed=1).reason == "another seed: a person's idea"


def test_before_a_baseline_has_finished_an_idea_departs_from_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with Ledger.open(home.ledger) as ledger:
        a_study(ledger, seeds=[5, 6, 7])
    found = idea(home, "lr=1e-3", "batch_size=4")
    assert (found.config, found.parent_id, found.seed) == (
        dataclasses.replace(TINY, lr=1e-3, batch_size=4), None, 5)


def test_what_cannot_run_is_one_sentence(home: Home) -> None:
    assert refused(home, "n_layer=60") == (
        "128d/60L AdamW lr=2e-3 does not fit this study: 16,006,272 parameters, over the limit of "
        "10,000,000 parameters; what is not given is as in the run it starts from, the head: give "
        "a smaller n_embd or n_layer, too, or --from baseline")
    assert refused(home, "n_layer=5", "--max-ram", "100M") == (
        f"128d/5L AdamW lr=2e-3 does not fit this study: {idea_mb(home, 'n_layer=5'):,.0f} MB "
        "predicted, over the limit of 94 MB")
    assert "under the 20 steps that 2,048,000 tokens must leave" in refused(
        home, "batch_size=1024", "n_embd=8", "n_head=1", "--max-ram", "100G")


def test_what_is_known_is_one_sentence(home: Home) -> None:
    assert refused(home, "n_embd=64", "lr=3e-3") == (
        "E2 (finished, 1.2100 bits/byte) has this configuration, seed 0 and 2,048,000 tokens; "
        "change a field, or the seed with --seed")
    assert refused(home, "seq_len=64", "lr=3e-3").startswith("E4 (queued) has this configuration")


def test_what_failed_may_be_tried_again(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        ledger.finish(run_called(home, "E4").id, "failed", NOW, error="no memory")
    assert idea(home, "seq_len=64", "lr=3e-3").config.seq_len == 64


def test_foreign_parents_and_ledgers_are_one_sentence(home: Home, tmp_path: Path) -> None:
    assert refused(home, "lr=1e-3", "--from", "B1") == (
        "B1 is a published row, which tells only a part of its configuration; name a run that was "
        "measured here")
    assert refused(home, "lr=1e-3", "--from", "E99").startswith("there is no run 'E99'; ")
    assert refused(home, "lr=1e-3", "depth") == (
        "'depth' is not of the form key=value, such as lr=3e-3")
    assert refused(Home(tmp_path), "lr=1e-3") == (
        f"there is no ledger at {tmp_path}/ledger.db; `agent run` starts one, --home names another")
    Ledger.open(tmp_path / "ledger.db").close()
    assert refused(Home(tmp_path), "lr=1e-3") == (
        f"{tmp_path}/ledger.db has no study yet; `agent run --for 4m` begins one")


# --- where it goes ---------------------------------------------------------------------------


def test_without_an_agent_the_idea_is_queued_at_once(home: Home) -> None:
    result = agent(home, "enqueue", "lr=1e-3")
    assert result.exit_code == 0
    assert result.stdout == (
        "128d/4L AdamW lr=1e-3\nlearning rate 2e-3 → 1e-3: a person's idea\n"
        "seed 0, 2,048,000 tokens, 1,311,872 parameters, "
        f"{run_called(home, 'T1').predicted_mb:,.0f} MB predicted\n")
    assert result.stderr == "queued as T1; `agent run` executes and judges it\n"
    run = run_called(home, "T1")
    assert (run.state, run.strategy, run.calibration_id) == ("queued", "hand", 1)
    assert list(home.inbox.iterdir()) == []
    with Ledger.open(home.ledger, read_only=True) as ledger:
        assert ledger.events(limit=1)[0].message.startswith("T1 on seed 0, queued: learning")


def idea_mb(home: Home, text: str = "lr=9e-4") -> float:
    made = idea(home, text)
    return float(made.config.predicted_mb(made.replicas))


def test_while_an_agent_works_the_idea_waits_in_the_inbox(home: Home) -> None:
    with only_one(home.lock):
        result = agent(home, "enqueue", "lr=1e-3")
        again = refused(home, "lr=1e-3")
    assert result.stderr == (
        "left in the inbox: the agent at work takes it up, or the next `agent run`\n")
    assert again == ("128d/4L AdamW lr=1e-3 with seed 0 already waits in the inbox; `agent run` "
                     "takes it up")
    (left,) = home.inbox.iterdir()
    os.utime(left, (1, 1))
    agent(home, "enqueue", "lr=9e-4")  # the next writer takes up both, the earlier first
    assert [run_called(home, label).config["lr"] for label in ("T1", "T2")] == [1e-3, 9e-4]


def test_an_agent_that_was_quicker_takes_the_idea(
        home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_withdraw, "holder", lambda lock: None)  # nobody, a moment ago
    monkeypatch.setattr("agent.home.lock.LOOK_S", 0.0)
    with only_one(home.lock):
        assert value(home, "enqueue", "lr=1e-3")["where"] == "inbox"


def test_a_dry_run_shows_the_idea_and_changes_nothing(home: Home) -> None:
    before = home.ledger.read_bytes()
    result = agent(home, "enqueue", "lr=1e-3", "--dry-run")
    assert (result.exit_code, result.stderr) == (0, "nothing was queued: a dry run\n")
    assert "learning rate 2e-3 → 1e-3" in result.stdout
    assert value(home, "enqueue", "lr=1e-3", "--dry-run")["where"] == "dry"
    assert (home.ledger.read_bytes(), home.inbox.exists()) == (before, False)


def test_json_says_what_became_of_it(home: Home) -> None:
    found = value(home, "enqueue", "lr=1e-3", "--seed", "4")
    run = run_called(home, "T1")
    assert (found["where"], found["label"], found["uid"], found["seed"]) == (
        "queued", "T1", run.uid, 4)
    assert found["config"] == Config(lr=1e-3).to_dict()
    assert (found["budget_tokens"], found["n_params"]) == (example.BUDGET, 1_311_872)


def test_a_vocabulary_to_be_made_waits_for_a_night(home: Home) -> None:
    assert value(home, "enqueue", "vocab_size=512")["where"] == "inbox"


def test_an_idea_comes_through_a_pipe(home: Home) -> None:
    result: Result = CliRunner().invoke(
        main, ["--home", str(home.root), "enqueue", "-", "--json"], input='{"lr": 0.001}')
    assert json.loads(result.stdout)["label"] == "T1"


def test_misuse_exits_2(home: Home) -> None:
    assert agent(home, "enqueue").exit_code == 2
    assert agent(home, "enqueue", "lr=1", "--seed", "-1").exit_code == 2


# --- of another study ------------------------------------------------------------------------


def test_an_idea_for_another_study_says_which_it_waits_for(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        second = a_study(ledger, text="bb", seeds=[5, 6, 7])
        night = {"study": 1, "newest_study": second}
        ledger.event("night", "a test began", NOW, data=night)
    result = agent(home, "enqueue", "lr=1e-3", "batch_size=4", "--study", str(second))
    assert result.exit_code == 0
    assert result.stderr == (
        "queued as T1; `agent run --study 2` executes and judges it; it waits for study 2, and "
        "the last night worked on study 1\n")
    assert run_called(home, "T1").calibration_id == second
    result = agent(home, "enqueue", "lr=1.5e-3")
    assert result.stderr == "queued as T2; `agent run` executes and judges it\n"
    assert run_called(home, "T2").calibration_id == 1
    assert json.loads(agent(home, "status", "--json").stdout)["elsewhere"] == [
        "T1 waits for study 2 (tiny, 3,200 tokens a run): `agent run --study 2`"]
    assert "T1 waits for study 2" in " ".join(agent(home, "status").stdout.split())
