"""The model in other programs' formats: Hugging Face, GGUF, plain arrays; and back from the first.

In come a configuration, its parameters and its tokenizer, out comes a folder, whole or not at all;
or in comes such a folder, which is parsed and not trusted, and the three come out. What a format
cannot say is refused. It uses `model` and `text`.
"""

from typing import TYPE_CHECKING

from engine import doors

if TYPE_CHECKING:
    from engine.export.hf_read import read_hf as read_hf
    from engine.export.layout import SAID as SAID
    from engine.export.layout import Whole as Whole
    from engine.export.write import FORMATS as FORMATS
    from engine.export.write import WEIGHTS as WEIGHTS
    from engine.export.write import export as export
    from engine.export.write import is_sayable as is_sayable
    from engine.export.write import require as require

__all__, __getattr__ = doors(__name__, {
    "hf_read": ("read_hf",),
    "layout": ("SAID", "Whole"),
    "write": ("FORMATS", "WEIGHTS", "export", "is_sayable", "require"),
})
