"""A .parquet is read where pyarrow is there; where it is not, that is said."""

import sys

import pytest

from engine.errors import CorpusError
from engine.text.parquet import texts


def test_without_pyarrow_one_sentence_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CorpusError, match=r"a\.parquet needs the package pyarrow: pip install "
                                          r"'phi-auto\[parquet\]', or save it as \.jsonl"):
        list(texts(tmp_path / "a.parquet", None, 100))


@pytest.fixture
def path(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"id": [1, 2, 3], "story": ["One.", None, "Three."]}), path)
    return path


def test_a_column_of_strings_is_read_and_nothing_where_it_is_empty(path):
    assert list(texts(path, "story", 100)) == ["One.", "Three."]


@pytest.mark.parametrize("key", [None, "id", "Story"])
def test_a_wrong_column_names_those_that_are_there(path, key):
    with pytest.raises(CorpusError, match=r'has no column "\w+" of strings; it has "story": name'):
        list(texts(path, key, 100))


def test_more_than_memory_holds_is_left(path):
    with pytest.raises(CorpusError, match="holds over 0 MB of text"):
        list(texts(path, "story", 5))


def test_a_file_that_is_none_is_refused(path):
    path.write_bytes(b"no parquet at all")
    with pytest.raises(CorpusError, match=r"a\.parquet cannot be read as \.parquet: .*; save it"):
        list(texts(path, "story", 100))
