"""The benchmark reports what it is asked for, and its floor is the step's own matrix products.

No time is asserted here: a clock's word is worth nothing on a machine that does other things.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engine.bench import clock, steps, texts
from engine.bench.__main__ import main, table
from engine.bench.clock import Peer
from engine.bench.floor import Floor, step_products
from engine.bench.sampling import sampling_rows
from engine.bench.steps import measure
from engine.blocks import CHUNK, QUERIES, attention_blocks
from engine.config import Config
from engine.errors import UserError
from engine.model.gpt import GPT, Flat, init_params

ROOT = Path(__file__).parents[2]
TINY = Config(n_embd=16, n_layer=1, n_head=2, n_hidden=20, vocab_size=300, seq_len=16,
              batch_size=3)
KEYS = {"config", "ms_per_step", "tok_per_s", "gflops", "floor_ms", "floor_per_step", "peak_mb",
        "replicas", "steps", "kernels"}
PEER_KEYS = {"ratio_eager", "ratio_compile", "ms_eager", "ms_compile", "peer_peak_mb"}
# A peer that says that every step took half a second, or a quarter when compiled.
PEER = """
import json, sys
mode, shape = sys.argv[1], json.load(open(sys.argv[2]))
assert shape["n_embd"] == 16
for line in sys.stdin:
    with open({log!r}, "a") as file:
        file.write(mode + " " + line)
    print(json.dumps([0.5 if mode == "eager" else 0.25] * int(line)), flush=True)
print(900.0 if mode == "eager" else 800.0, flush=True)
"""
BROKEN_PEER = "import sys\nsys.stdin.readline()\nsys.exit(1)\n"
MISSING = "the torch peer ended with status 1; is torch installed? python -m pip install torch"
DRIVER = """
import json, pathlib, sys
from engine.bench import clock, steps
from engine.bench.__main__ import main
from engine.config import Config
clock.PEERS, steps.SETTLE_S = pathlib.Path(sys.argv[1]), 0.0  # no threads of PyTorch's spin here
steps.CONFIGS = (Config.from_dict(json.loads(sys.argv[2])),)
sys.exit(main(sys.argv[3:]))
"""


def run_with_peer(folder, peer, *arguments):
    """The benchmark of TINY in a process of its own, with a script in PyTorch's place."""
    (folder / "torch_peer.py").write_text(peer)
    return subprocess.run(
        [sys.executable, "-c", DRIVER, str(folder), json.dumps(TINY.to_dict()),
         "--peer", "torch", *arguments], cwd=ROOT, text=True, capture_output=True,
        env={**os.environ, "AGENT_NATIVE": "0"})


# --- the report ------------------------------------------------------------------------------


def test_the_program_prints_a_json_list_of_what_it_measured():
    plain = {name: value for name, value in os.environ.items() if not name.endswith("_THREADS")}
    plain["AGENT_NATIVE"] = "0"
    found = subprocess.run(
        [sys.executable, "-m", "engine.bench", "--json", "--only", "0", "--rounds", "1",
         "--replicas", "2"], cwd=ROOT, env=plain, text=True, capture_output=True)
    assert (found.returncode, found.stderr) == (0, "")
    (row,) = json.loads(found.stdout)
    assert row.keys() == KEYS
    assert row["config"] == "64d/2L/2H, 16 × 64"
    assert (row["replicas"], row["steps"]) == (2, 10)
    assert row["kernels"] == "numpy"
    assert all(value > 0 for name, value in row.items() if name not in ("config", "kernels"))
    assert row["tok_per_s"] * row["ms_per_step"] / 1e3 == pytest.approx(16 * 64)
    assert row["floor_per_step"] * row["ms_per_step"] == pytest.approx(row["floor_ms"])


def test_useful_work_is_that_of_the_configuration():
    row = measure(TINY, n_replicas=1, rounds=1, with_torch=False)
    gflop = TINY.flops_per_token * TINY.tokens_per_step / 1e9
    assert row["gflops"] * row["ms_per_step"] / 1e3 == pytest.approx(gflop)


@pytest.mark.skipif("QEMU_CPU" in os.environ, reason="the emulator's own memory is counted, too")
def test_the_memory_is_that_of_training_and_not_of_the_floor():
    script = ("from engine.bench.steps import measure\nfrom engine.config import Config\n"
              "print(measure(Config(), 2, 1, False)['peak_mb'])")
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, text=True,
                           capture_output=True, check=True)
    assert float(found.stdout) < 1.1 * Config().predicted_mb(2)


def test_the_configurations_are_those_of_the_published_table():
    assert [(c.n_embd, c.n_layer, c.n_head, c.batch_size, c.seq_len) for c in steps.CONFIGS] == [
        (64, 2, 2, 16, 64), (128, 4, 4, 4, 128), (192, 6, 6, 8, 128), (256, 8, 8, 8, 256),
        (160, 5, 5, 6, 96), (128, 4, 4, 2, 512)]
    assert {(c.vocab_size, c.hidden, c.optimizer, c.clip) for c in steps.CONFIGS} == {
        (1024, 4 * c.n_embd, "adamw", 1.0) for c in steps.CONFIGS}


def test_the_table_has_a_line_for_every_row_and_a_head_for_every_cell():
    row = {"config": "16d/1L", "ms_per_step": 12.345, "tok_per_s": 67890.1, "gflops": 98.76,
           "floor_ms": 0.5, "floor_per_step": 0.04, "peak_mb": 101.5}
    plain = table([row, row | {"config": "32d/1L", "ms_per_step": 1234.5}]).splitlines()
    assert plain[0] == ("| configuration | ms/step | tok/s | GFLOP/s | floor ms | floor/step | "
                        "peak MB |")
    assert plain[2:] == ["| 16d/1L | 12.3 | 67,890 | 98.8 | 0.50 | 0.04 | 102 |",
                         "| 32d/1L | 1,234 | 67,890 | 98.8 | 0.50 | 0.04 | 102 |"]
    ratios = table([row | {"ratio_eager": 1.5, "ratio_compile": 1.25, "peer_peak_mb": 800.0}])
    assert ratios.splitlines()[0].endswith("| peak MB | × eager | × compile | peer MB |")
    assert ratios.splitlines()[2].endswith("| 102 | 1.50 | 1.25 | 800 |")


# --- a peer ----------------------------------------------------------------------------------


def test_a_peer_takes_turns_and_is_compared_by_speed(tmp_path):
    peer = PEER.format(log=str(tmp_path / "log"))
    found = run_with_peer(tmp_path, peer, "--json", "--rounds", "3", "--replicas", "1")
    assert (found.returncode, found.stderr) == (0, "")
    (row,) = json.loads(found.stdout)
    assert row.keys() == KEYS | PEER_KEYS
    assert (row["ms_eager"], row["ms_compile"], row["peer_peak_mb"]) == (500.0, 250.0, 800.0)
    assert row["ratio_eager"] * row["ms_per_step"] == pytest.approx(500.0)
    assert row["ratio_compile"] * row["ms_per_step"] == pytest.approx(250.0)
    asked = (tmp_path / "log").read_text().splitlines()
    assert asked == ["eager 5", "compile 5", *["eager 10", "compile 10"] * 3]


@pytest.mark.parametrize("script", [BROKEN_PEER, "raise SystemExit(1)"], ids=["breaks", "ends"])
def test_a_peer_that_cannot_work_is_said_to_be_missing(script, tmp_path, monkeypatch):
    (tmp_path / "torch_peer.py").write_text(script)
    monkeypatch.setattr(clock, "PEERS", tmp_path)
    with Peer("torch_peer.py", "torch") as one:
        if script != BROKEN_PEER:
            one.process.wait()
        with pytest.raises(UserError) as caught:
            one.ask(1)
    assert str(caught.value) == MISSING


@pytest.mark.parametrize("words", [["--only", "0", "--peer", "torch"], ["--peer", "tokenizers"]],
                         ids=["torch", "tokenizers"])
def test_where_there_is_no_checkout_a_peer_is_said_to_live_in_one(
        words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(clock, "PEERS", tmp_path)
    assert main(words) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"there is no {tmp_path}/{words[-1]}_peer.py: the {words[-1]} peer lives with the tests of "
        "a checkout and is not installed; measure it there")


def test_a_peer_that_fails_leaves_no_process_behind(tmp_path, monkeypatch):
    """The compiled one ends in its first turn, while the other waits to be asked again."""
    script = PEER.format(log=str(tmp_path / "log")).replace(
        "for line in", "sys.exit(1) if mode == 'compile' else None\nfor line in")
    (tmp_path / "torch_peer.py").write_text(script)
    monkeypatch.setattr(clock, "PEERS", tmp_path)
    monkeypatch.setattr(steps, "SETTLE_S", 0.0)
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen",
                        lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    with pytest.raises(UserError, match="the torch peer ended with status 1"):
        measure(TINY, 2, 1, True)
    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


def test_the_program_ends_with_that_sentence(tmp_path):
    found = run_with_peer(tmp_path, BROKEN_PEER, "--rounds", "1", "--replicas", "1")
    assert (found.returncode, found.stdout, found.stderr) == (1, "", MISSING + "\n")


# --- tokenizer, sampling, preparation --------------------------------------------------------

STORIES = ["Tom had a red ball. He lost the ball.", "Anna saw the ball and the red hat."] * 40


def test_the_tokenizer_is_measured_beside_the_package_and_has_its_ids(monkeypatch):
    monkeypatch.setattr(texts, "VOCAB", 280)
    rows = texts.tokenizer_rows(STORIES, 3, with_peer=True)
    assert [row["config"] for row in rows] == [
        "tokenizer train, vocabulary 280, 0.0 MB", "tokenizer encode, vocabulary 280, 0.0 MB"]
    for row in rows:
        assert row["turns"] == 3
        assert row["ratio_tokenizers"] * row["seconds"] == pytest.approx(row["peer_seconds"])
        assert row["seconds"] > 0


def test_ids_that_differ_from_the_package_are_no_benchmark(monkeypatch):
    monkeypatch.setattr(texts, "VOCAB", 280)
    monkeypatch.setattr(texts, "ids_hash", lambda *_: "0" * 64)
    with pytest.raises(UserError, match="our ids are not those of the tokenizers package"):
        texts.tokenizer_rows(STORIES, 1, with_peer=True)


def test_a_text_of_ones_own_is_read_and_a_missing_one_named(tmp_path, capsys):
    (tmp_path / "text.txt").write_text("\n<|endoftext|>\n".join(STORIES))
    assert texts.read_stories(tmp_path / "text.txt") == STORIES
    assert main(["tokenizer", "--text", str(tmp_path / "no.txt")]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"there is no file {tmp_path}/no.t")
    assert main(["tokenizer", "--text", str(tmp_path / "text.txt")]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(
        "the text is too short for the 1,024 tokens measured here")


@pytest.mark.parametrize(("words", "sentence"), [
    (["sampling", "--only", "1"], "--only goes with steps, not with sampling; leave it out"),
    (["--text", "a.txt"], "--text goes with tokenizer, not with steps; leave it out"),
    (["prepare", "--replicas", "2"], "--replicas goes with steps, not with prepare"),
])
def test_an_option_without_effect_is_refused(words, sentence, capsys):
    assert main(words) == 1
    assert capsys.readouterr().err.startswith(sentence)


@pytest.mark.parametrize("words", [["--rounds", "0"], ["--rounds", "x"], ["--only", "6"],
                                   ["--replicas", "65"]], ids=str)
def test_a_number_out_of_range_is_told_its_range(words, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert f"{words[1]} is not a whole number from " in capsys.readouterr().err


def test_ctrl_c_ends_it_with_a_sentence(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(steps, "measure", interrupted)
    assert main(["--only", "0"]) == 130
    assert capsys.readouterr().err == "stopped; nothing was measured to its end\n"


def test_what_holds_numpy_and_no_peer_is_said_below_the_table(monkeypatch, capsys):
    row = {"config": "64d/2L", "ms_per_step": 7.5}
    monkeypatch.setattr(steps, "measure", lambda *_: row)
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    assert main(["--only", "0"]) == 0
    assert capsys.readouterr().out == table([row])
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert main(["--only", "0"]) == 0
    assert capsys.readouterr().out.startswith(f"{table([row])}\nOPENBLAS_CORETYPE=Haswell holds ")
    assert main(["--only", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [row]


def test_a_peer_that_does_not_measure_this_is_refused(capsys):
    assert main(["sampling", "--peer", "torch"]) == 1
    assert capsys.readouterr().err.startswith("--peer torch does not measure sampling")


def test_sampling_is_counted_in_tokens_of_all_texts():
    one, eight = sampling_rows(1)
    assert one["tok_per_s"] * one["seconds"] == pytest.approx(124)
    assert eight["tok_per_s"] * eight["seconds"] == pytest.approx(8 * 124)


# --- the floor -------------------------------------------------------------------------------

SHAPES = pytest.mark.parametrize("changes", [
    {}, {"tied": True}, {"n_layer": 3, "seq_len": 150}, {"seq_len": 128, "n_head": 4},
    {"batch_size": 1, "n_hidden": 33},
], ids=str)


def flops(products):
    return sum(2 * many * m * k * n for many, m, k, n in products)


@SHAPES
def test_the_floor_is_the_products_of_a_step_without_the_scores_made_again(changes, monkeypatch):
    config = Config(**({"n_embd": 24, "n_layer": 1, "n_head": 2, "n_hidden": 20, "seq_len": 16,
                        "vocab_size": 300, "batch_size": 3} | changes))
    made, matmul = Counter(), np.matmul

    def note(a, b, out=None):
        if b.ndim > 1:
            m, k, n = sorted((*a.shape[-2:], b.shape[-1]))
            made[int(np.prod(b.shape[:-2])), m, k, n] += 1
        return matmul(a, b, out=out)

    rng = np.random.default_rng(0)
    ids = rng.integers(0, 300, (config.batch_size, config.seq_len))
    params, grads = init_params(config, 0), Flat.empty(config)
    monkeypatch.setattr(np, "matmul", note)
    GPT(config).loss_and_gradient(params, grads, ids, ids)
    made = Counter({key: n for key, n in made.items() if 1 not in key[1:]})  # those are sums
    floor = Counter((many, *sorted(sizes)) for many, *sizes in
                    step_products(config, config.batch_size))
    blocks = attention_blocks(config.batch_size, config.n_head, config.seq_len, 0)
    again = Counter((config.n_head * (rows.stop - rows.start),
                     *sorted((times.stop, config.head_size, times.stop - times.start)))
                    for rows, times in blocks * config.n_layer)
    assert made == floor + again


@pytest.mark.parametrize("config", [*steps.CONFIGS, Config(tied=True, batch_size=3)], ids=str)
def test_the_floor_is_the_work_of_the_configuration_and_the_rest_of_diagonal_blocks(config):
    useful = config.flops_per_token * config.tokens_per_step
    times, rest = divmod(config.seq_len, QUERIES)  # a block of queries has a square of keys
    squares = (times * QUERIES**2 + rest**2) * config.batch_size
    upper_halves = 6 * config.n_layer * config.n_embd * squares
    assert flops(step_products(config, config.batch_size)) == useful + upper_halves
    assert upper_halves < 0.06 * useful


@pytest.mark.parametrize("changes", [{}, {"n_head": 8, "seq_len": 64}, {"n_embd": 96}], ids=str)
def test_the_floor_of_rwkv_is_its_work_and_the_upper_halves_of_its_chunks(changes):
    config = Config(**({"mixer": "rwkv"} | changes))
    useful = config.flops_per_token * config.tokens_per_step
    upper_halves = 6 * config.n_layer * config.n_embd * CHUNK * config.tokens_per_step
    assert flops(step_products(config, config.batch_size)) == useful + upper_halves


@pytest.mark.parametrize("n_replicas", [1, 2, 3])
def test_the_floor_is_spread_over_the_replicas_as_the_rows_are(n_replicas):
    config = Config(n_embd=16, n_layer=1, n_head=1, vocab_size=300, seq_len=64, batch_size=6)
    floor = Floor(config, n_replicas)
    shares = [flops((out.size // out.shape[-1] // a.shape[-2], *a.shape[-2:], b.shape[-1])
                    for a, b, out in products) for products in floor.products]
    assert len(floor.steps(2)) == 2
    assert len(floor.team.pids) == n_replicas - 1
    floor.close()
    assert shares == n_replicas * [flops(step_products(config, 6)) / n_replicas]
