"""compare, importance, lineage and enqueue as people call them."""

import inspect
import json
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from agent.cli.main import main
from agent.home.paths import Home
from agent.ledger.ledger import Ledger
from engine.config import Config
from tests.agent.analysis.test_compare import ended
from tests.support import example_ledger as example
from tests.support.example_home import a_home, agent, printed, value
from tests.support.example_ledger import NOW

COMMANDS = ("compare", "importance", "lineage", "enqueue")
READING = [["compare", "B2", "E1"], ["importance"], ["lineage"], ["lineage", "e2"]]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The example night and nine configurations more, two of its own on a second seed."""
    home = a_home(tmp_path / "home")
    with Ledger.open(home.ledger) as ledger:
        for i in range(9):
            ended(ledger, Config(lr=1e-3 * (i + 4)), 0, 1.3 + i / 50)
        for config, bpb in ((Config(), 1.19), (Config(lr=2e-3), 1.17)):
            ended(ledger, config, 1, bpb)
    return home


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_json_is_one_value_and_nothing_else(home: Home, arguments: list[str]) -> None:
    result = agent(home, *arguments, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert isinstance(json.loads(result.stdout), dict)


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_pages_fit_sixty_columns_without_colour(home: Home, arguments: list[str]) -> None:
    text = printed(home, *arguments, columns=60)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 60


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_reading_leaves_the_ledger_as_it_is(home: Home, arguments: list[str]) -> None:
    before = home.ledger.read_bytes()
    printed(home, *arguments)
    assert home.ledger.read_bytes() == before


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_missing_ledger_is_one_sentence(tmp_path: Path, arguments: list[str]) -> None:
    result = agent(Home(tmp_path), *arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (f"agent: there is no ledger at {tmp_path}/ledger.db; `agent run` "
                             "starts one, --home names another\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_one_sentence_and_one_example(home: Home, command: str) -> None:
    paragraphs = inspect.cleandoc(main.commands[command].help or "").split("\n\n")
    assert len(paragraphs) == 2
    assert paragraphs[0].count(".") == 1
    assert paragraphs[1].startswith(f"Example:  agent {command}")
    assert printed(home, command, "-h") == printed(home, command, "--help")


@pytest.mark.parametrize("command", COMMANDS)
def test_command_bodies_are_short(command: str) -> None:
    callback = main.commands[command].callback
    assert callback is not None
    source = inspect.getsource(inspect.unwrap(callback))
    assert len(source.split('"""')[2].strip().splitlines()) <= 15


RUNS = ["B1", "B2", "best", "baseline"]  # that begin with b


@pytest.mark.parametrize(("words", "expected"), [
    (["compare"], RUNS), (["compare", "E1"], RUNS), (["lineage"], RUNS), (["importance"], RUNS),
    (["enqueue", "--from"], RUNS), (["enqueue"], ["batch_size=", "beta1=", "beta2=",
                                                    "bigram_buckets="])])
def test_runs_and_fields_complete(home: Home, words: list[str], expected: list[str]) -> None:
    complete = ShellComplete(main, {}, "agent", "_AGENT_COMPLETE")
    found = complete.get_completions(["--home", str(home.root), *words], "b")
    assert [item.value for item in found] == expected


# --- compare ---------------------------------------------------------------------------------


def test_two_runs_stand_side_by_side(home: Home) -> None:
    assert printed(home, "compare", "B2", "E1", columns=60).splitlines() == [
        "B2 finished  128d/4L AdamW lr=3e-3",
        "E1 finished  128d/4L AdamW lr=2e-3",
        "changed      learning rate 3e-3 → 2e-3",
        "",
        "                    B2          E1",
        "nats/token      2.5500      2.5000",
        "bits/byte       1.1822      1.1590",
        "vs unigram      -55.9%      -56.7%",
        "training        2.5000      2.4500",
        "tokens/s        20,000      20,000",
        "peak            168 MB      168 MB",
        "params       1,311,872   1,311,872",
        "seed                 0           0",
        "all seeds   1.1861 (2)  1.1645 (2)",
        "",
        "E1 is 0.0216 bits/byte better than B2 over 2 shared seeds;",
        "the 95 % interval is +0.0014 to +0.0418, which is more than",
        "the seeds make.",
        "",
        "B2                             E1",
        " 5.00 ┤     o                   5.00 ┤     o",
        "      │                              │",
        "      │                              │",
        "      │                              │",
        "      │          o                   │          o",
        "      │                o             │                o",
        " 2.45 ┤                     o   2.45 ┤                ·    o",
        "      └──────────────────────        └──────────────────────",
        "       0                2,000         0                2,000",
        "  · training  o validation  nats/token",
    ]


def test_one_configuration_changes_nothing_and_unlogged_runs_have_no_curve(home: Home) -> None:
    text = printed(home, "compare", "B2", "E14")
    assert "changed       nothing that changes the training" in text
    assert "┤" not in text


def test_vocabularies_that_differ_are_said_and_have_scales_of_their_own(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        other = example.add_corpus(ledger, vocab_size=512)
        run = example.queue(ledger, Config(vocab_size=512), corpus_id=other)
        ledger.claim(NOW, run_id=run.id)
        example.log_steps(ledger, run, [4.0, 2.0], NOW, 1000)
        example.finish(ledger, run, 2.0, NOW)
    text = printed(home, "compare", "B2", run.label, columns=60)
    assert ("Their vocabularies differ, so nats a token do not compare;\nbits a byte do.") in text
    assert " 2.50 ┤" in text
    assert " 1.95 ┤" in text


def test_a_comparison_that_is_none_is_one_sentence(home: Home) -> None:
    result = agent(home, "compare", "B1", "E1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "agent: B1 is a published row; its text and seed are unknown, so nothing measured here "
        "compares with it\n")


# --- importance ------------------------------------------------------------------------------


def test_importance_is_a_row_a_field_beside_its_gain(home: Home) -> None:
    lines = printed(home, "importance", columns=60).splitlines()
    assert lines[:4] == ["How much each field moved the loss, over the values that 12",
                         "configurations tried on stories with 2,048,000 tokens",
                         "(1.1645 to 1.4600 bits/byte), and what B2 to E1 gained:", ""]
    assert lines[4].split() == ["share", "95", "%", "gain", "alone"]
    assert lines[5].startswith("learning rate ")
    assert lines[5].endswith(" +0.0216 in 1")
    assert lines[6].startswith("width ")
    assert " +0.0216 from B2 to E1" in lines


def test_importance_names_what_no_run_tells_apart(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        for i in range(4):
            ended(ledger, Config(batch_size=16 * 2 ** i, seq_len=64 // 2 ** i), 0, 1.3 + i / 50)
    text = printed(home, "importance", columns=60)
    assert ("? cannot be told apart, as they only moved together: window, batch; the share is of "
            "them together.") in " ".join(text.split())
    assert "Never changed: layers, heads," in text
    found = {one["name"]: one for one in value(home, "importance")["fields"]}
    assert (found["seq_len"]["told"], found["seq_len"]["with"]) == (False, ["batch_size"])
    assert found["seq_len"]["share"] == found["batch_size"]["share"]


def test_steps_of_several_fields_stand_by_themselves(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        run = ended(ledger, Config(lr=1e-3, seq_len=64, batch_size=16), 0, 1.1,
                    parent_id=ledger.run("E1").id, calibration_id=1)
        ledger.decide(run.id, ledger.run("E1").id, "kept", "rule/1", {}, "better", NOW)
    lines = printed(home, "importance", columns=60).splitlines()
    at = lines.index("steps of several fields")
    assert lines[at + 1] == " +0.0590 in 1 window, batch, learning rate"
    assert value(home, "importance")["chain"][0] == {
        "fields": ["seq_len", "batch_size", "lr"], "gain_bpb": pytest.approx(0.059),
        "n_steps": 1}


def test_importance_of_the_text_and_budget_of_a_run(home: Home) -> None:
    assert value(home, "importance", "E2") == value(home, "importance")
    result = agent(home, "importance", "μ1")
    assert result.stderr == ("agent: μ1 is a published row, whose text is unknown; name a run that "
                             "was measured here\n")


def test_too_few_configurations_are_one_sentence(tmp_path: Path) -> None:
    result = agent(a_home(tmp_path / "young"), "importance")
    assert result.stderr == (
        "agent: importance takes at least 10 configurations that ended on one text and budget, and "
        "here are 3 with 2,048,000 tokens; `agent run` makes more\n")


# --- lineage ---------------------------------------------------------------------------------


def test_lineage_is_a_row_a_step(home: Home) -> None:
    lines = [line.rstrip() for line in printed(home, "lineage", columns=60).splitlines()]
    assert lines == [
        "run verdict  bits/byte gain on the step before",
        "B2  baseline    1.1822 128d/4L AdamW lr=3e-3",
        "                       (2 seeds finished)",
        "E1  kept        1.1590 +0.0216 (+0.0014 to +0.0418), 2 seeds",
        "                       learning rate 3e-3 → 2e-3",
        "",
        "E1 is 0.0216 bits/byte better than B2 over 2 shared seeds;",
        "the 95 % interval is +0.0014 to +0.0418, which is more than",
        "the seeds make.",
        "",
        "In brackets the 95 % interval of a gain.",
    ]


def test_a_gain_on_one_seed_comes_with_a_warning(home: Home) -> None:
    text = printed(home, "lineage", "E2", columns=60)
    assert "-0.0510, one seed\n" in "\n".join(map(str.rstrip, text.splitlines()))
    assert ("A gain on one seed claims too much: the step was kept\n"
            "because of that very score.") in text


def test_steps_confirmed_together_are_told_as_such(home: Home) -> None:
    together = "were tested, and confirmed, together with those up to the next"
    with Ledger.open(home.ledger) as ledger:
        step = ledger.run("E1")
        last = ended(ledger, Config(lr=1.5e-3), 0, 1.1, parent_id=step.id)
        ledger.decide(last.id, None, "confirmed", "r/1", {
            "low_bpb": 0.01, "high_bpb": 0.03, "gain_bpb": 0.02, "n": 2}, "better", NOW)
        assert together not in _in_a_line(home, last.label)
        ledger.decide(step.id, None, "confirmed", "r/1", {}, "better", NOW)
    assert together in _in_a_line(home, last.label)


def _in_a_line(home: Home, label: str) -> str:
    return " ".join(printed(home, "lineage", label).split())


def test_several_seeds_without_an_interval_are_counted(home: Home) -> None:
    with Ledger.open(home.ledger) as ledger:
        parent = ledger.run("E1")
        late = ended(ledger, Config(lr=1e-4), 8, 1.2, parent_id=parent.id)
    assert "2 and 1 seeds" in printed(home, "lineage", late.label)


def test_what_has_not_finished_has_no_gain(home: Home) -> None:
    assert "(no seeds finished)" in printed(home, "lineage", "E3")
    assert value(home, "lineage", "E3")["steps"][-1]["gain"] is None


def test_a_ledger_without_study_is_one_sentence(tmp_path: Path) -> None:
    Ledger.open(tmp_path / "ledger.db").close()
    for command in ("lineage", "importance"):
        assert agent(Home(tmp_path), command).stderr == (
            f"agent: {tmp_path}/ledger.db has no study yet; `agent run --for 4m` begins one\n")
