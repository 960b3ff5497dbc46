"""`tpbox completion`."""

from __future__ import annotations

import itertools
import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_TPBOX_COMPLETE"  # set by the shell that asks


@add_completion_class
class Bash(BashComplete):
    """bash takes a colon for a word of its own (its COMP_WORDBREAKS), and puts what is completed behind it."""

    _before = ""  # what bash has of the word already

    def get_completion_args(self) -> tuple[list[str], str]:
        at = int(os.environ["COMP_CWORD"]) + 1
        pieces = split_arg_string(os.environ["COMP_WORDS"])[1:at]
        pieces += [""] * (at - 1 - len(pieces))
        words = joined(pieces)
        self._before = words[-1].rpartition(":")[0] and words[-1][: words[-1].rindex(":") + 1]
        return words[:-1], words[-1]

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{item.value.removeprefix(self._before)}"


def joined(pieces: list[str]) -> list[str]:
    """Words out of what bash makes of them: `deploy/web`, `:`, `app` is one. The last may be empty."""
    words = [""]
    for before, piece in itertools.pairwise(["", *pieces]):
        if before and piece and ":" in (before, piece) and not before.startswith("-"):
            words[-1] += piece
        else:
            words.append(piece)
    return words[1:]


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, contexts, namespaces, workloads and sessions.

    \b
    echo 'eval "$(tpbox completion bash)"' >> ~/.bashrc
    echo 'eval "$(tpbox completion zsh)"' >> ~/.zshrc
    tpbox completion fish > ~/.config/fish/completions/tpbox.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    # Not .source(): that starts bash to ask for its version, which may be none of those that will read the script.
    script = found(ctx.find_root().command, {}, "tpbox", VARIABLE)
    click.echo(script.source_template % script.source_vars())
