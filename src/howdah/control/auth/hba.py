"""PostgreSQL's pg_hba.conf: who may log in from where, to what, and how they prove who they are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from howdah.control.config.errors import Problem
from howdah.dataplane.plan import AccessRule


@dataclass(frozen=True, slots=True)
class HbaLine:
    """One line: what the data plane decides by, and the options that LDAP and PAM logins are asked with."""

    rule: AccessRule
    options: Mapping[str, str] = field(default_factory=dict)  # "ldapserver", "pamservice", ... as in the file


@dataclass(frozen=True, slots=True)
class Hba:
    """What a file says; not to be used when a problem is fatal."""

    lines: tuple[HbaLine, ...]
    problems: list[Problem]


def read_hba(path: str, text: str, read: Callable[[str], str]) -> Hba:
    """Read a whole file; `path` names it in problems, and files it names are looked for beside it.

    `read` gives the text of such a file, or raises OSError or ValueError.  Raises nothing itself: what is wrong is in
    `problems`.
    """
    raise NotImplementedError


def rules_of_auth_type(auth_type: str, ldap_options: str) -> tuple[HbaLine, ...]:
    """The rules that PgBouncer's auth_type comes to; not for "hba".  ValueError says what is wrong with `ldap_options`."""
    raise NotImplementedError
