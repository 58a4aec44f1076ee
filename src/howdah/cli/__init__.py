"""The command line.  One module a subcommand: parse, call one function, print.

Only click is imported here: `howdah --version` and --help answer at once, whatever `run` needs.
"""

import sys

import click

import howdah
from howdah.cli.check import check
from howdah.cli.console import COMMANDS
from howdah.cli.convert import convert
from howdah.cli.process_list import hide_passwords
from howdah.cli.run import run


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Try 'howdah run' without anything: it starts its own PostgreSQL to play with.",
)
@click.version_option(howdah.__version__, "-V", "--version", prog_name="howdah", message="%(prog)s %(version)s")
def cli() -> None:
    """A connection pooler for PostgreSQL: thousands of clients ride on a few server connections."""


cli.add_command(run)
cli.add_command(check)
for command in COMMANDS:
    cli.add_command(command)
cli.add_command(convert)


def main() -> None:
    """The console script.  What keeps howdah from starting is one line on stderr and exit status 1."""
    hide_passwords()  # click works on the interpreter's copy of the arguments
    try:
        cli.main(prog_name="howdah")
    except Exception as error:
        # Imported late: it comes with all of the configuration.
        from howdah.control.config.errors import StartError

        if not isinstance(error, StartError):
            raise
        click.echo(str(error), err=True)
        sys.exit(1)
