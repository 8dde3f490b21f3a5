"""``owl-geo completion``: names of commands and options at the press of Tab."""

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
    short_help="Print the script that completes words in a shell.",
)
@click.argument("shell", type=click.Choice(list(_WHERE)))
@opt.common
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script by which a shell completes commands and options when Tab is pressed.

    The last line of it, a comment, says where to put it. Windows' shells have none; Git Bash has.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise OwlError(
            f"this version of click knows no completion for {shell}", remedy="upgrade click"
        )
    try:
        script = kind(ctx.find_root().command, {}, "owl-geo", "_OWL_GEO_COMPLETE").source()
    except RuntimeError as error:
        raise OwlError(f"{error}", remedy="take another shell, or a newer one") from error
    click.echo(script.rstrip())
    click.echo(f"# {_WHERE[shell]}")
