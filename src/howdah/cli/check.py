"""``howdah check CONFIG``: is this configuration good?"""

import click


@click.command()
@click.argument("config", metavar="CONFIG", type=click.Path())
def check(config: str) -> None:
    """Check a configuration without starting anything.

    CONFIG is what 'howdah run' takes: a howdah.toml or a postgresql:// URL. HOWDAH_* variables count as they do
    there.

    Every fault is shown on stderr with file and line, and the exit status is 1; it is 0 when there are only warnings.
    """
    from howdah.control.config.load import Request, read

    found = read(Request(target=config))
    for warning in found.warnings:
        click.echo(str(warning), err=True)
    databases = len(found.databases)
    click.echo(f"{found.source}: ok, {databases} database{'' if databases == 1 else 's'}")
