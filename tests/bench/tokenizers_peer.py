"""The `tokenizers` package on a text, to be measured beside our tokenizer.

    tokenizers_peer.py STORIES.json VOCAB_SIZE

Answers every line of standard input with a line of JSON: `train` and `encode` with seconds, `ids`
with the SHA-256 of all ids. It may use every core; encoding starts without a cache, as ours does.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

try:
    import tokenizers
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer
except ModuleNotFoundError:
    sys.exit(1)  # who started this says what to install

EOT = "<|endoftext|>"


def train(stories: list[str], vocab_size: int) -> tokenizers.Tokenizer:
    found = tokenizers.Tokenizer(BPE())
    found.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=True)
    found.train_from_iterator(stories, BpeTrainer(
        vocab_size=vocab_size, special_tokens=[EOT], initial_alphabet=ByteLevel.alphabet(),
        show_progress=False))
    return found


def encode(tokenizer: tokenizers.Tokenizer, stories: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch_fast(stories)]


def main() -> None:
    stories = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    vocab_size = int(sys.argv[2])
    form = train(stories, vocab_size).to_str()
    for line in sys.stdin:
        tokenizer = tokenizers.Tokenizer.from_str(form)
        start = time.perf_counter()
        if line == "train\n":
            train(stories, vocab_size)
        else:
            ids = encode(tokenizer, stories)
        spent = time.perf_counter() - start
        answer = (hashlib.sha256(json.dumps(ids).encode()).hexdigest() if line == "ids\n"
                  else spent)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
