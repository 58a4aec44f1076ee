"""PgBouncer's auth_file (userlist.txt): one user and secret a line."""

from dataclasses import dataclass, field

from howdah.control.config.errors import Problem
from howdah.dataplane.plan import Secret


@dataclass(slots=True)
class Users:
    """What a file says; not to be used when a problem is fatal."""

    secrets: dict[str, Secret] = field(default_factory=dict)  # by user name
    problems: list[Problem] = field(default_factory=list)


def read_userlist(path: str, text: str) -> Users:
    """Read a whole file; `path` names it in problems.  Raises nothing: what is wrong is in `problems`."""
    raise NotImplementedError
