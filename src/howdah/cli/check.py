"""``howdah check CONFIG``: is this configuration good?"""

import click


@click.command()
@click.argument("config", metavar="CONFIG", type=click.Path())
def check(config: str) -> None:
    """Check a configuration without starting anything.

    CONFIG is what 'howdah run' takes: a howdah.toml, a pgbouncer.ini or a postgresql:// URL. HOWDAH_* variables count
    as they do there.

    The files that it names are looked at, too: users, access rules, certificates. Every fault is shown on stderr with
    file and line, and the exit status is 1; it is 0 when there are only warnings.
    """
    from howdah.control.auth.context import auth_context
    from howdah.control.config.load import Request, read
    from howdah.control.intake import take_in
    from howdah.control.plan import build_plan
    from howdah.control.tls_files import ending

    found = read(Request(target=config))
    intake = take_in(found, b"")
    for warning in (*found.warnings, *intake.warnings):
        click.echo(str(warning), err=True)
    asked = auth_context(found, intake.access, build_plan(found, intake, {}, 1))
    for text in (*ending(intake.tls.certificates), *asked.problems):
        click.echo(f"warning: {text}", err=True)
    databases = len(found.databases)
    click.echo(f"{found.source}: ok, {databases} database{'' if databases == 1 else 's'}")
