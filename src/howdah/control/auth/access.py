"""Who may log in: users, rules and maps, read from the configuration and the files that it names.

`read_access` collects every fault with file and line in `files`; a list of users or rules with a fatal one is not to be
used at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from howdah.control.auth.hba import HbaLine, read_hba, rules_of_auth_type
from howdah.control.auth.ident import read_ident
from howdah.control.auth.secrets import parse_secret
from howdah.control.auth.userlist import read_userlist
from howdah.control.config.schema import Config
from howdah.control.input_files import InputFiles
from howdah.dataplane.plan import MapLine, Secret


@dataclass(frozen=True, slots=True)
class Access:
    """`lines[i].rule` is rule number i of the plan."""

    lines: tuple[HbaLine, ...] = ()
    maps: tuple[MapLine, ...] = ()
    #: auth_file and [users], the latter winning; NO_PASSWORD of users whom the file lists without one.
    secrets: Mapping[str, Secret] = field(default_factory=dict)


def read_access(config: Config, files: InputFiles) -> Access:
    """Raises nothing: what is wrong is in `files.problems`."""
    return Access(tuple(_lines(config, files)), tuple(_maps(config, files)), dict(_secrets(config, files)))


def _lines(config: Config, files: InputFiles) -> tuple[HbaLine, ...]:
    settings = config.settings
    if settings.auth_type != "hba":
        return rules_of_auth_type(settings.auth_type, settings.auth_ldap_options)
    path = settings.auth_hba_file
    text = files.text_for("auth_hba_file", path)
    if text is None:
        return ()
    hba = read_hba(path, text, files.text)
    files.problems += hba.problems
    return hba.lines


def _maps(config: Config, files: InputFiles) -> tuple[MapLine, ...]:
    path = config.settings.auth_ident_file
    text = files.text_for("auth_ident_file", path) if path else None
    if text is None:
        return ()
    ident = read_ident(path, text)
    files.problems += ident.problems
    return ident.lines


def _secrets(config: Config, files: InputFiles) -> Iterator[tuple[str, Secret]]:
    path = config.settings.auth_file
    text = files.text_for("auth_file", path) if path else None
    if text is not None:
        users = read_userlist(path, text)
        files.problems += users.problems
        yield from users.secrets.items()
    for name, user in config.users.items():
        if user.password is not None:  # that it can be parsed has been seen to with all settings
            yield name, parse_secret(user.password.get_secret_value())
