"""What howdah takes in beside its configuration, read and checked: users, rules and maps, and certificates.

These are two halves that do not depend on each other: files of one that cannot be used are no reason to go on with an
old certificate, or with users who are gone.

Blocks on files; called at the start, for `howdah check`, and off the loop's thread on reload and when files change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from howdah.control.auth.access import Access, read_access
from howdah.control.config.errors import ConfigError, Problem
from howdah.control.config.schema import Config
from howdah.control.exposure import exposures
from howdah.control.input_files import InputFiles
from howdah.control.tls_files import TlsPlans, read_tls
from howdah.dataplane.plan import TlsPlan


class Half(Enum):
    """What is used whole or not at all."""

    ACCESS = auto()
    TLS = auto()


@dataclass(frozen=True, slots=True)
class Source:
    """Where one half has come from."""

    fingerprints: Mapping[str, bytes | None] = field(default_factory=dict)  # of every file that was read, by path
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Intake:
    """All of it, free of faults."""

    access: Access
    tls: TlsPlans
    sources: Mapping[Half, Source] = field(default_factory=lambda: dict.fromkeys(Half, Source()))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(warning for source in self.sources.values() for warning in source.warnings)


class UnusableFiles(ConfigError):
    """Files with faults, and fingerprints of all that were read."""

    def __init__(self, problems: Iterable[Problem], fingerprints: Mapping[str, bytes | None]) -> None:
        super().__init__(problems)
        self.fingerprints = fingerprints


def take_in(config: Config, ticket_key: bytes) -> Intake:
    """Read everything that `config` names.  UnusableFiles with all that is wrong, by file and line."""
    intake = Intake(Access(), TlsPlans(TlsPlan(), TlsPlan()))
    faults: list[Problem] = []
    fingerprints: dict[str, bytes | None] = {}
    for half in Half:
        try:
            intake = take_in_half(half, intake, config, ticket_key)
        except UnusableFiles as failure:
            faults += failure.problems
            fingerprints |= failure.fingerprints
    if faults:
        raise UnusableFiles(faults, fingerprints)
    return intake


def take_in_half(half: Half, before: Intake, config: Config, ticket_key: bytes) -> Intake:
    """`before` with this half of it read anew.  UnusableFiles with all that is wrong with that."""
    files = InputFiles()
    warnings: tuple[Problem, ...] = ()
    if half is Half.ACCESS:
        access = read_access(config, files)
        intake = replace(before, access=access)
        warnings = tuple(exposures(config, access))
    else:
        intake = replace(before, tls=read_tls(config.settings, files, ticket_key))
    faults = [problem for problem in files.problems if problem.fatal]
    if faults:
        raise UnusableFiles(faults, files.fingerprints)
    source = Source(files.fingerprints, (*files.problems, *warnings))
    return replace(intake, sources={**before.sources, half: source})
