"""What can be wrong before howdah runs: one sentence for each, meant for people.

`StartError` is for everybody who starts something; the command line prints it and exits with status 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass


class StartError(Exception):
    """howdah cannot start.  The text says what, where, and what to do; it is shown without a traceback."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in a configuration.  `where` is "howdah.toml:12", "environment", "command line" or "target"."""

    where: str
    key: str  # "pool_mode", "databases.app.port" or "" when no key is at fault
    message: str  # what is wrong
    advice: str = ""  # what to do about it
    fatal: bool = True

    def __str__(self) -> str:
        """One line, as it is shown."""
        parts = [self.where] if self.fatal else [self.where, "warning"]
        if self.key:
            parts.append(self.key)
        parts.append(self.message)
        return ": ".join(parts) + (f"; {self.advice}" if self.advice else "")


class ConfigError(StartError):
    """A configuration with faults: all of them, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
