"""``howdah convert FILE``: a configuration of PgBouncer as a howdah.toml."""

import click


@click.command()
@click.argument("file", metavar="FILE", type=click.Path())
def convert(file: str) -> None:
    """Print a howdah.toml that means the same as a pgbouncer.ini.

    FILE is a pgbouncer.ini; what it includes is taken in, too. HOWDAH_* variables do not count here. Passwords in it
    are in the output.

    \b
    Example:
      howdah convert /etc/pgbouncer/pgbouncer.ini > howdah.toml
    """  # noqa: D301  \\b is click's mark for lines that stay as they are
    from howdah.control.config.convert import converted
    from howdah.control.config.errors import StartError
    from howdah.control.config.load import Request, draft
    from howdah.control.config.url import is_url

    if is_url(file):
        raise StartError("a URL needs no conversion; 'howdah run' takes it as it is")
    found = draft(Request(target=file), {})
    if not found.pgbouncer:
        raise StartError(f"{file}: this is no pgbouncer.ini: it has no section [pgbouncer] and no name in .ini")
    text, warnings = converted(found)
    for warning in warnings:
        click.echo(str(warning), err=True)
    click.echo(text, nl=False)
