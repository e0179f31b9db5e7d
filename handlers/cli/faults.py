"""What a user can mend: one line that says what is wrong, where, and what to do."""

import contextlib

import click

from shared.domain.names import escaped


class Fault(click.ClickException):
    """Ends the command with exit status 2 and its message as the only line."""

    exit_code = 2

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        with contextlib.suppress(OSError):  # nobody can be told
            click.echo(f"docmill: {escaped(self.message)}", err=True)
