"""A corpus is made once, is what its files say, and nothing half-written passes for it."""

import errno
import gzip
import hashlib
import json
import os
from pathlib import Path
from threading import Thread

import pytest

from engine.errors import CorpusError, StorageError
from engine.text import corpus as module
from engine.text.corpus import builtin, from_file, resolve, tinystories
from engine.text.given import How
from engine.text.splits import SPLITS
from engine.text.stories.write import write_stories
from engine.text.tokenizer import EOT, Tokenizer

FULL = Path("/dev/full")  # every write to it finds no space
needs_full = pytest.mark.skipif(not FULL.exists(), reason="this machine has no /dev/full")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small corpus, not to be changed."""
    return builtin(tmp_path_factory.mktemp("made"), n_stories=120, seed=3)


@pytest.fixture
def forbidden(monkeypatch):
    """A function: from here on, nothing may be read, written or trained anew."""

    def forbid():
        def never(*arguments):
            raise AssertionError("made again")

        monkeypatch.setattr(module, "write_stories", never)
        monkeypatch.setattr(module.given, "read", never)
        monkeypatch.setattr(Tokenizer, "train", never)

    return forbid


def text_file(path, n, seed=0):
    path.write_text(f"\n{EOT}\n".join(write_stories(n, seed)), encoding="utf-8")
    return path


# --- what a corpus holds ---------------------------------------------------------------------


def test_every_story_of_the_text_is_in_one_split(made):
    stories = [story for split in SPLITS for story in made.stories(split)]

    assert sorted(stories) == sorted(write_stories(120, seed=3))


def test_the_splits_are_described_as_they_are(made):
    for split in SPLITS:
        stories, described = made.stories(split), made.splits[split]
        data = (made.folder / f"{split}.txt").read_bytes()
        assert described.n_stories == len(stories)
        assert described.n_bytes == sum(len(story.encode()) for story in stories)
        assert described.sha256 == hashlib.sha256(data).hexdigest()


def test_the_hash_of_a_corpus_changes_with_any_split(tmp_path):
    train = text_file(tmp_path / "a.txt", 20)
    valid = text_file(tmp_path / "b.txt", 9, seed=1)
    longer = text_file(tmp_path / "c.txt", 10, seed=1)
    corpora = [from_file(tmp_path, train, valid), from_file(tmp_path, train, longer)]

    assert corpora[0].splits["train"] == corpora[1].splits["train"]
    assert corpora[0].sha256 != corpora[1].sha256


def test_equal_text_has_an_equal_hash_wherever_it_comes_from(tmp_path, made):
    path = tmp_path / "stories.jsonl"
    path.write_text("\n".join(json.dumps({"text": story}) for story in write_stories(120, seed=3)))

    assert from_file(tmp_path, path).sha256 == made.sha256


def test_text_survives_its_files_byte_for_byte(tmp_path):
    stories = ["one\r\ntwo\n\n\nthree", "tab\tand\x00zero", "Ünïcödé 🐢", "line\u2028end", "last"]
    path = tmp_path / "odd.txt"
    path.write_bytes(EOT.join(stories).encode())
    corpus = from_file(tmp_path, path)

    assert sorted(s for split in SPLITS for s in corpus.stories(split)) == sorted(stories)


# --- where texts come from -------------------------------------------------------------------


def test_names_lead_to_their_texts(tmp_path):
    path = text_file(tmp_path / "My tales, new.txt", 20)
    by_name = resolve(tmp_path, "builtin", n_stories=30, seed=5)
    by_path = resolve(tmp_path, str(path))

    assert by_name == builtin(tmp_path, 30, 5)
    assert (by_name.name, by_name.source) == ("builtin", "builtin")
    assert by_path == from_file(tmp_path, path)
    assert (by_path.name, by_path.source) == ("My-tales-new", "file")
    assert by_path.folder.parent == tmp_path
    assert by_path.folder.name.startswith("My-tales-new-")


def test_tinystories_are_downloaded_once_and_the_raw_text_is_dropped(tmp_path, monkeypatch):
    text = f"\n{EOT}\n".join(write_stories(50, seed=0)).encode()
    asked = []

    def fetch(url, start, end):
        asked.append((url, start))
        return text[start:end]

    first = tinystories(tmp_path, 40, fetch)
    again = tinystories(tmp_path, 40, fetch)

    assert first == again
    assert first.source == "tinystories"
    assert sorted(s for split in SPLITS for s in first.stories(split)) == sorted(
        write_stories(40, seed=0))
    assert asked == [("https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/"
                      "TinyStoriesV2-GPT4-train.txt", 0)]
    assert not list(tmp_path.rglob("*.part"))


def test_tinystories_go_on_after_a_cut(tmp_path, monkeypatch):
    text = f"\n{EOT}\n".join(write_stories(50, seed=0)).encode()
    monkeypatch.setattr("engine.text.download.RANGE_BYTES", 10_000)

    def cut(url, start, end):
        if start >= 20_000:
            raise OSError("Network is unreachable")
        return text[start:end]

    with pytest.raises(CorpusError, match="cannot reach huggingface.co: Network is unreachable"):
        tinystories(tmp_path / "cut", 40, cut)
    asked = []
    resumed = tinystories(tmp_path / "cut", 40,
                          lambda url, start, end: asked.append(start) or text[start:end])

    assert asked[0] == 20_000
    assert resumed.sha256 == tinystories(tmp_path / "whole", 40,
                                         lambda url, start, end: text[start:end]).sha256


def test_a_validation_file_leaves_all_of_the_other_to_training(tmp_path):
    train = text_file(tmp_path / "train.txt", 25)
    valid = text_file(tmp_path / "valid.txt", 8, seed=1)
    corpus = resolve(tmp_path, str(train), valid=valid)

    assert corpus.stories("train") == list(write_stories(25, seed=0))
    assert [corpus.splits[split].n_stories for split in SPLITS] == [25, 4, 2, 2]


def made_by_rule_1(root, train, valid):
    """The folder of a version before shards had a rule: of these eight stories six search."""
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (train, valid)]
    key = json.dumps({"format": 1, "sha256": digests[0], "source": "file", "suffix": ".txt",
                      "valid_sha256": digests[1], "valid_suffix": ".txt", "vocab": 1024})
    folder = root / f"train-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    stories = list(write_stories(8, seed=1))
    module._write(folder, "train", "file", {
        "train": list(write_stories(25, seed=0)), "search": stories[:6], "confirm": stories[6:7],
        "test": stories[7:]}, Tokenizer.train(["ab"], 257))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    del manifest["rule"], manifest["seal"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_text_that_an_earlier_version_cut_keeps_its_shards(tmp_path, forbidden):
    train = text_file(tmp_path / "train.txt", 25)
    valid = text_file(tmp_path / "valid.txt", 8, seed=1)
    folder = made_by_rule_1(tmp_path, train, valid)
    forbidden()
    corpus = from_file(tmp_path, train, valid)

    assert corpus.folder == folder
    assert [corpus.splits[split].n_stories for split in SPLITS] == [25, 6, 1, 1]
    assert (corpus.rule, corpus.is_cut_short) == (1, True)


def test_elsewhere_the_same_text_is_cut_anew_and_is_another_text(tmp_path):
    train = text_file(tmp_path / "train.txt", 25)
    valid = text_file(tmp_path / "valid.txt", 8, seed=1)
    made_by_rule_1(tmp_path, train, valid)
    old, new = (from_file(root, train, valid) for root in (tmp_path, tmp_path / "new"))

    assert [new.splits[split].n_stories for split in SPLITS] == [25, 4, 2, 2]
    assert not new.is_cut_short
    assert old.sha256 != new.sha256  # so that no study compares scores of the two


@pytest.mark.parametrize("what", ["builtin", "tinystories"])
def test_a_validation_file_goes_only_with_a_file(tmp_path, what):
    with pytest.raises(CorpusError, match=rf"{what} holds out its own validation stories; leave "
                                          r"out valid\.txt, or give the path of a training file"):
        resolve(tmp_path, what, valid=Path("valid.txt"))


def test_a_number_of_stories_does_not_go_with_a_file(tmp_path):
    with pytest.raises(CorpusError, match=r"n_stories=9 goes with builtin and tinystories; a\.txt "
                                          "is taken whole"):
        resolve(tmp_path, "a.txt", n_stories=9)


@pytest.mark.parametrize("what", ["builtin", "tinystories"])
def test_too_few_stories_are_refused_before_any_work(tmp_path, what):
    with pytest.raises(CorpusError, match=f"{what} has 3 stories, and at least 4 are needed"):
        resolve(tmp_path, what, n_stories=3)


def test_a_file_of_one_story_is_refused(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("Once upon a time.\n\nThe end.\n")

    with pytest.raises(CorpusError, match=r"one\.txt is one story, .* put <\|endoftext\|> between"):
        resolve(tmp_path, str(path))


def test_the_training_text_is_no_validation_text(tmp_path):
    train = text_file(tmp_path / "train.txt", 60)
    with pytest.raises(CorpusError, match=r"train\.txt holds the very text of .*train\.txt"):
        resolve(tmp_path, str(train), valid=train)


def test_a_validation_file_of_two_stories_is_refused(tmp_path):
    train = text_file(tmp_path / "train.txt", 25)
    valid = text_file(tmp_path / "valid.txt", 2)

    with pytest.raises(CorpusError, match=r"valid\.txt has 2 stories, and validation needs at lea"):
        resolve(tmp_path, str(train), valid=valid)


# --- made once -------------------------------------------------------------------------------


def test_a_corpus_that_is_there_is_not_made_again(tmp_path, forbidden):
    path = text_file(tmp_path / "a.txt", 20)
    corpora = builtin(tmp_path, 30), from_file(tmp_path, path)
    forbidden()

    assert (builtin(tmp_path, 30), from_file(tmp_path, path)) == corpora


def test_other_parameters_are_another_corpus(tmp_path):
    path, other = text_file(tmp_path / "a.txt", 20), text_file(tmp_path / "b.txt", 20, seed=1)
    folders = {builtin(tmp_path, 30).folder, builtin(tmp_path, 31).folder,
               builtin(tmp_path, 30, seed=1).folder, from_file(tmp_path, path).folder,
               from_file(tmp_path, path, other).folder}

    assert len(folders) == 5


def test_a_file_that_changed_is_another_corpus(tmp_path):
    path = text_file(tmp_path / "a.txt", 20)
    before = from_file(tmp_path, path)
    text_file(path, 21)

    assert from_file(tmp_path, path).splits["train"].n_stories == 18
    assert before.stories("train") != from_file(tmp_path, path).stories("train")


@pytest.mark.parametrize("damage", [
    lambda folder: (folder / "manifest.json").unlink(),
    lambda folder: (folder / "manifest.json").write_text("{"),
    lambda folder: (folder / "manifest.json").write_text("[]"),
    lambda folder: (folder / "search.txt").unlink(),
    lambda folder: os.truncate(folder / "train.txt", 100),
    lambda folder: (folder / "test.txt").write_bytes(bytes((folder / "test.txt").stat().st_size)),
])
def test_a_damaged_corpus_is_made_again(tmp_path, damage):
    corpus = builtin(tmp_path, 30)
    text = {path.name: path.read_bytes() for path in corpus.folder.iterdir()}
    damage(corpus.folder)

    assert builtin(tmp_path, 30) == corpus
    assert {path.name: path.read_bytes() for path in corpus.folder.iterdir()} == text


def test_of_two_that_start_together_one_makes_the_corpus(tmp_path, monkeypatch):
    calls, corpora = [], []

    def counted(n, seed):
        calls.append(n)
        return write_stories(n, seed)

    monkeypatch.setitem(module.WRITERS, "builtin", (1, counted))
    threads = [Thread(target=lambda: corpora.append(builtin(tmp_path, 40))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert calls == [40]
    assert len(corpora) == 4
    assert corpora.count(corpora[0]) == 4


@needs_full
@pytest.mark.parametrize("name", ["train.txt", "test.txt", "tokenizer-1024.json", "manifest.json"])
def test_a_disk_that_fills_up_leaves_nothing_that_passes_for_a_corpus(tmp_path, name):
    whole = builtin(tmp_path / "whole", 40)
    folder = tmp_path / "full" / whole.folder.name
    folder.mkdir(parents=True)
    (folder / f"{name}.part").symlink_to(FULL)

    with pytest.raises(StorageError, match=rf"cannot write .*{name}.*No space left on device"):
        builtin(tmp_path / "full", 40)
    assert not (folder / "manifest.json").exists()
    assert builtin(tmp_path / "full", 40).sha256 == whole.sha256


@pytest.mark.parametrize("name", ["data", "builtin-"])
def test_a_folder_that_may_not_be_made_is_said(tmp_path, monkeypatch, name):
    make = Path.mkdir

    def refuse(path, **options):
        if path.name.startswith(name):
            raise PermissionError(errno.EACCES, "Permission denied")
        make(path, **options)

    monkeypatch.setattr(Path, "mkdir", refuse)

    with pytest.raises(StorageError, match=rf"cannot make the folder .*/{name}.*: Permission den"):
        builtin(tmp_path / "data", 30)


def test_a_text_that_is_refused_leaves_no_folder(tmp_path):
    path = text_file(tmp_path / "short.txt", 3)

    with pytest.raises(CorpusError, match=r"short\.txt has 3 stories, and at least 4 are needed"):
        from_file(tmp_path / "data", path)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["lock"]


def test_a_web_text_of_too_few_stories_is_refused(tmp_path):
    text = f"One.{EOT}Two.".encode()

    with pytest.raises(CorpusError, match=r"https.*train\.txt has 2 stories, and at least 4 are"):
        tinystories(tmp_path, 40, lambda url, start, end: text[start:end])


# --- novels, copies, other files -------------------------------------------------------------


def test_what_was_cut_and_left_out_is_told_again_when_the_corpus_is_found(tmp_path, forbidden):
    path = tmp_path / "novel.txt"
    path.write_text("\n\n".join(write_stories(60, seed=0)))
    made = from_file(tmp_path, path)
    forbidden()

    assert made.remarks[0].startswith("novel.txt: one text, cut at paragraphs into ")
    assert from_file(tmp_path, path) == made


def test_a_home_that_an_earlier_version_made_keeps_its_splits_though_they_share_stories(
        tmp_path, forbidden):
    path = tmp_path / "twice.txt"
    path.write_text(EOT.join(2 * list(write_stories(30, seed=0))))
    anew = from_file(tmp_path / "new", path)
    stories = list(write_stories(30, seed=0))
    module._write(tmp_path / anew.folder.name, "twice", "file", {
        "train": stories, "search": stories[:3], "confirm": stories[3:4], "test": stories[4:5]},
        Tokenizer.train(["ab"], 257))
    forbidden()

    assert from_file(tmp_path, path).stories("search") == stories[:3]
    assert not set(anew.stories("search")) & set(anew.stories("train"))


def test_a_key_and_broken_lines_make_another_corpus(tmp_path):
    path = tmp_path / "tales.jsonl"
    path.write_text("\n".join(json.dumps({"text": "no", "content": story})
                              for story in write_stories(30, seed=0)))
    found = from_file(tmp_path, path, how=How(key="content"))

    assert sorted(s for split in SPLITS for s in found.stories(split)) == sorted(
        write_stories(30, seed=0))
    assert from_file(tmp_path, path, how=How(key="content", skip_broken=True)).folder != (
        found.folder)


def test_a_packed_text_and_a_folder_are_corpora(tmp_path):
    plain = text_file(tmp_path / "a.txt", 30)
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(plain.read_bytes()))
    (tmp_path / "folder").mkdir()
    text_file(tmp_path / "folder" / "only.txt", 30)
    found = [from_file(tmp_path / "home" / "data", path) for path in (
        plain, tmp_path / "a.txt.gz", tmp_path / "folder")]

    assert found[0].sha256 == found[1].sha256
    assert [corpus.name for corpus in found] == ["a", "a", "folder"]
    assert found[2].source == "file"


def test_how_json_is_read_goes_with_a_file_only(tmp_path):
    with pytest.raises(CorpusError, match="builtin is no JSON; --key and --skip-broken go with a"):
        resolve(tmp_path, "builtin", how=How(key="content"))
