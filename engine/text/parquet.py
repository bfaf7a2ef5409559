"""Stories out of a .parquet, and tables into one, where pyarrow is there."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import CorpusError, UserError
from engine.text.jsontext import KEY, MOST_KEYS
from engine.text.unpack import too_large


def texts(path: Path, key: str | None, most_bytes: int) -> Iterator[str]:
    """The strings of one column, row by row; CorpusError where there are none."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise CorpusError(f"{path} needs the package pyarrow: pip install 'phi-auto[parquet]', or "
                          "save it as .jsonl") from None
    column, n_bytes = key or KEY, 0
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            strings = [field.name for field in schema if pyarrow.types.is_string(field.type)
                       or pyarrow.types.is_large_string(field.type)]
            if column not in strings:
                has = ", ".join(f'"{name}"' for name in strings[:MOST_KEYS]) or "none"
                raise CorpusError(f'{path} has no column "{column}" of strings; it has {has}: '
                                  "name one with --key")
            for batch in file.iter_batches(batch_size=1024, columns=[column]):
                for text in batch.column(0).to_pylist():
                    n_bytes += len((text or "").encode())
                    if n_bytes > most_bytes:
                        raise too_large(path, most_bytes)
                    if text:
                        yield text
    except FileNotFoundError:
        raise CorpusError(f"there is no file {path}; give the path of a text") from None
    except (pyarrow.ArrowException, OSError, UnicodeError) as error:
        raise CorpusError(f"{path} cannot be read as .parquet: "
                          f"{' '.join(str(error).split())[:200]}; save it anew") from error


def write_parquet(path: Path, columns: Mapping[str, str],
                  batches: Iterable[Sequence[Mapping[str, Any]]]) -> int:
    """A table into a .parquet, a batch of rows at a time; returns the number of rows.

    columns  names and types, as SQLite calls them: INTEGER, REAL or TEXT

    Raises UserError where pyarrow is missing, and OSError where the file cannot be written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError("--parquet needs the package pyarrow: pip install 'phi-auto[parquet]', or "
                        "take --csv or --jsonl") from None
    kinds = {"INTEGER": pyarrow.int64(), "REAL": pyarrow.float64()}
    schema = pyarrow.schema([(name, kinds.get(kind, pyarrow.string()))
                             for name, kind in columns.items()])
    n_rows = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for rows in batches:
            writer.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema))
            n_rows += len(rows)
    return n_rows
