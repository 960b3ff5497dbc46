"""`tpbox completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, contexts, namespaces and workloads.

    \b
    echo 'eval "$(tpbox completion bash)"' >> ~/.bashrc
    echo 'eval "$(tpbox completion zsh)"' >> ~/.zshrc
    tpbox completion fish > ~/.config/fish/completions/tpbox.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    # Not .source(): that starts bash to ask for its version, which may be none of those that will read the script.
    script = found(ctx.find_root().command, {}, "tpbox", "_TPBOX_COMPLETE")
    click.echo(script.source_template % script.source_vars())
