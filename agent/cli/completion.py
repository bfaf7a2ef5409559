"""Completion as the three shells need it where a word has the sign = in it.

Bash cuts words at =, so that `--set optimizer=` reaches the program in three pieces and only the
last of them is replaced; zsh and fish replace the whole word. A name that ends in = gets no space.
"""

import glob
import os

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

BASH_PLAIN = "COMPREPLY+=($value)\n"
ZSH_PLAIN = '                completions+=("$key")\n'


class WholeWords(ShellComplete):
    """Offers whole words: --corpus=builtin for --corpus=b, as click offers builtin alone."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        found = super().get_completions(args, incomplete)
        option, equals, _ = incomplete.partition("=")
        if not (equals and option.startswith("-")):
            return found
        return [CompletionItem(f"{option}={item.value}", type=item.type, help=item.help)
                if item.type == "plain" else item for item in found]


class Bash(WholeWords, BashComplete):
    """Puts together what bash cut at =, and answers with the piece behind the last of them."""

    # A name that waits for its value, or a folder for what is in it, gets no space.
    source_template = BashComplete.source_template.replace(
        BASH_PLAIN, f"{BASH_PLAIN}            [[ $value == *[=/] ]] && compopt -o nospace\n")

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        words = joined([*args, incomplete])
        self.is_cut = len(words) <= len(args)
        return words[:-1], words[-1]

    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        n_known = incomplete.rfind("=") + 1 if self.is_cut else 0
        found = [item if item.type != "plain" else CompletionItem(item.value[n_known:])
                 for item in self.get_completions(args, incomplete)]
        return "\n".join(map(self.format_completion, found))


class Zsh(WholeWords, ZshComplete):
    """Completes whole words; a name that waits for its value gets no space."""

    source_template = ZshComplete.source_template.replace(
        ZSH_PLAIN, '                if [[ "$key" == *[=/] ]]; then\n'
                   '                    compadd -S "" -U -V unsorted -- "$key"\n'
                   "                else\n"
                   f"    {ZSH_PLAIN}"
                   "                fi\n").replace(
        "_path_files", "compset -P '--*='; _path_files")  # what is behind --corpus= is the path


class Fish(WholeWords, FishComplete):
    """Completes whole words; fish itself puts no space behind =, and finds no paths there."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        found = super().get_completions(args, incomplete)
        option, equals, begun = incomplete.partition("=")
        if not (equals and option.startswith("-")):
            return found
        kinds = {item.type for item in found}
        paths = [path for path in sorted(glob.glob(f"{glob.escape(begun)}*"))
                 if "file" in kinds or "dir" in kinds and os.path.isdir(path)]
        return [item for item in found if item.type == "plain"] + [
            CompletionItem(f"{option}={path}{'/' if os.path.isdir(path) else ''}")
            for path in paths]


def joined(words: list[str]) -> list[str]:
    """Words as they were typed, before they were cut at =: a, =, b are a=b."""
    found = [""]
    is_open = True  # the next word belongs to the last one
    for word in words:
        if word == "=" and found[-1]:
            found[-1] += word
            is_open = True
        elif is_open:
            found[-1] += word
            is_open = False
        else:
            found.append(word)
    return found


def register() -> None:
    """Let click answer the three shells so."""
    add_completion_class(Bash)
    add_completion_class(Zsh)
    add_completion_class(Fish)
