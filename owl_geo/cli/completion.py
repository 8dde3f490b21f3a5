"""``owl-geo completion``: commands and options completed with the Tab key."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from owl_geo.cli import options as opt
from owl_geo.errors import OwlError

_WHERE = {
    "bash": 'add this line to ~/.bashrc: eval "$(owl-geo completion bash)"',
    "zsh": 'add this line to ~/.zshrc: eval "$(owl-geo completion zsh)"',
    "fish": "owl-geo completion fish > ~/.config/fish/completions/owl-geo.fish",
}


@click.command(
    cls=opt.Command,
    epilog="Example: owl-geo completion bash",
    short_help="Print a script for completion with Tab in a shell.",
)
@click.argument("shell", type=click.Choice(list(_WHERE)))
@opt.common
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script with which a shell completes commands and options when you press Tab.

    Its last line, a comment, says where to put it. On Windows, only Git Bash is supported.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise OwlError(
            f"this version of click has no completion for {shell}", remedy="upgrade click"
        )
    try:
        script = kind(ctx.find_root().command, {}, "owl-geo", "_OWL_GEO_COMPLETE").source()
    except RuntimeError as error:
        raise OwlError(f"{error}", remedy="use another shell, or a newer version") from error
    click.echo(script.rstrip())
    click.echo(f"# {_WHERE[shell]}")
