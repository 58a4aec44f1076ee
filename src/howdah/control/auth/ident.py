"""PostgreSQL's pg_ident.conf: which names of the outside (certificates, the operating system) are which users."""

from dataclasses import dataclass

from howdah.control.config.errors import Problem
from howdah.dataplane.plan import MapLine


@dataclass(frozen=True, slots=True)
class Ident:
    """What a file says; not to be used when a problem is fatal."""

    lines: tuple[MapLine, ...]
    problems: list[Problem]


def read_ident(path: str, text: str) -> Ident:
    """Read a whole file; `path` names it in problems.  Raises nothing: what is wrong is in `problems`."""
    raise NotImplementedError
