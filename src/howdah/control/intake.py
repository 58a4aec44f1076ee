"""What howdah takes in beside its configuration: users, rules, maps, certificates, read and checked as one.

Blocks on files; called at the start, for `howdah check`, and off the loop's thread on reload and when files change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from howdah.control.auth.access import Access, read_access
from howdah.control.config.errors import ConfigError, Problem
from howdah.control.config.schema import Config
from howdah.control.exposure import exposures
from howdah.control.input_files import InputFiles
from howdah.control.tls_files import TlsPlans, read_tls


@dataclass(frozen=True, slots=True)
class Intake:
    """All of it, free of faults."""

    access: Access
    tls: TlsPlans
    fingerprints: Mapping[str, bytes | None] = field(default_factory=dict)  # of every file that was read, by path
    warnings: tuple[Problem, ...] = ()


class UnusableFiles(ConfigError):
    """Files with faults, and fingerprints of all that were read."""

    def __init__(self, problems: Iterable[Problem], fingerprints: Mapping[str, bytes | None]) -> None:
        super().__init__(problems)
        self.fingerprints = fingerprints


def take_in(config: Config, ticket_key: bytes) -> Intake:
    """Read everything that `config` names.  UnusableFiles with all that is wrong, by file and line."""
    files = InputFiles()
    access = read_access(config, files)
    tls = read_tls(config.settings, files, ticket_key)
    faults = [problem for problem in files.problems if problem.fatal]
    if faults:
        raise UnusableFiles(faults, files.fingerprints)
    return Intake(access, tls, files.fingerprints, (*files.problems, *exposures(config, access)))
