"""Every reason to refuse or close something, in one table.

The C enum and error texts of the data plane, the log field `reason`, the metric label and
docs/reference/reasons.md all come from here.  A message may hold `%s`, filled with what the case knows.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Fault(StrEnum):
    """Whose doing it is."""

    NONE = "none"
    CLIENT = "client"
    SERVER = "server"
    POOLER = "pooler"
    OPERATOR = "operator"


class Level(StrEnum):
    """At which level the log line is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Reason:
    """One row.  `sqlstate` is "" when the client is told nothing; `severity` is the ErrorResponse's."""

    code: str
    sqlstate: str
    severity: str
    fault: Fault
    retryable: bool
    level: Level
    message: str
    hint: str
    doc: str
