"""Looks after the files beside the configuration while howdah runs: takes up new contents, tells of bad ones.

Contents are compared, not times: Kubernetes swaps a symbolic link two levels up, editors and secret stores rename, and
a file that was only touched is no news.  What is bad is looked at twice before it is told of, since a key and its
certificate are seldom written in the same instant.  It is told again when it becomes different, and once a day.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from howdah.control.aside import aside
from howdah.control.config.errors import ConfigError
from howdah.control.input_files import fingerprint
from howdah.control.intake import Half, Intake, Source, UnusableFiles, take_in_half
from howdah.control.log import FilteringBoundLogger
from howdah.control.publisher import Publisher
from howdah.control.tls_files import Certificate, ending

POLL_S = 2.0
DAY_S = 86_400.0
_MOST_FAULTS = 5

#: What changes when a file does, seen without reading it; None: it is not there.
Stamp = tuple[int, int, int, int, int] | None


def in_one_line(failure: ConfigError) -> str:
    """All faults, or the first few, for a log line."""
    texts = [str(problem) for problem in failure.problems[:_MOST_FAULTS]]
    more = len(failure.problems) - len(texts)
    return " | ".join([*texts, f"and {more:,} more"] if more > 0 else texts)


class Watch:
    """One for the life of the process; `ticket_key` as at the start."""

    def __init__(self, publisher: Publisher, ticket_key: bytes, log: FilteringBoundLogger) -> None:
        self._publisher = publisher
        self._log = log
        self._halves = [_HalfWatch(half, publisher, ticket_key, log) for half in Half]
        self._intake = publisher.intake
        self._endings: tuple[Certificate, ...] | None = None  # which certificates have been looked at
        self._next_day = 0.0

    async def run(self) -> None:
        """Look now and again until cancelled."""
        while True:
            self._tell_of_endings()
            await asyncio.sleep(POLL_S)
            try:
                async with self._publisher.changing:
                    await self.look()
            except Exception:  # noqa: BLE001  # whatever it is: the next look may work
                self._log.exception("the configuration's files could not be looked at")

    async def look(self) -> None:
        """Look once; whoever calls holds `Publisher.changing`."""
        if self._intake is not self._publisher.intake:  # a reload has read everything anew
            for half in self._halves:
                half.begin()
            self._endings = None
        for half in self._halves:
            await half.look()
        self._intake = self._publisher.intake

    def _tell_of_endings(self) -> None:
        """At the start, once a day, and when there are other certificates."""
        certificates = self._publisher.intake.tls.certificates
        now = time.monotonic()
        if now < self._next_day and certificates == self._endings:
            return
        self._endings, self._next_day = certificates, now + DAY_S
        for text in ending(certificates):
            self._log.warning(text)


class _HalfWatch:
    """Looks after the files of one half."""

    def __init__(self, half: Half, publisher: Publisher, ticket_key: bytes, log: FilteringBoundLogger) -> None:
        self._half = half
        self._publisher = publisher
        self._ticket_key = ticket_key
        self._log = log
        self._seen: Mapping[str, bytes | None]  # good or bad
        self._stamps: Mapping[str, Stamp]
        self._unsettled: bool  # what was seen last was bad, and may have been half-written
        self._told: tuple[str, Mapping[str, bytes | None]] | None  # what is wrong, and with which contents
        self._told_at: float
        self.begin()

    def begin(self) -> None:
        """What the publisher has is what the files held when they were seen last."""
        self._settle({})

    async def look(self) -> None:
        stamps = await aside("watch files", partial(_stamps, self._seen))
        if stamps == self._stamps and not self._unsettled:
            self._remind()
            return
        if not self._unsettled and await aside("watch files", partial(_unchanged, self._seen)):
            self._stamps = stamps
            return
        publisher = self._publisher
        try:
            intake = await aside(
                "read files", partial(take_in_half, self._half, publisher.intake, publisher.config, self._ticket_key)
            )
        except UnusableFiles as failure:
            self._refuse(failure, stamps)
        else:
            self._take(intake, stamps)

    def _refuse(self, failure: UnusableFiles, stamps: Mapping[str, Stamp]) -> None:
        self._unsettled = failure.fingerprints != self._seen
        self._seen, self._stamps = failure.fingerprints, stamps
        told = in_one_line(failure), failure.fingerprints
        if not self._unsettled and told != self._told:
            self._told = told
            self._tell()

    def _tell(self) -> None:
        if self._told is not None:
            problem, _ = self._told
            self._log.error("changed files are not used, the old ones stay in force", problem=problem)
        self._told_at = time.monotonic()

    def _remind(self) -> None:
        """While files are bad, nothing that is put into them has an effect: not to be forgotten."""
        if self._told is not None and time.monotonic() >= self._told_at + DAY_S:
            self._tell()

    def _take(self, intake: Intake, stamps: Mapping[str, Stamp]) -> None:
        before, after = self._source, intake.sources[self._half]
        changed = [path for path, found in after.fingerprints.items() if before.fingerprints.get(path) != found]
        if changed:
            self._publisher.renew(intake)
            self._log.info("changed files are in use", files=", ".join(changed))
            for warning in after.warnings:
                if warning not in before.warnings:
                    self._log.warning(str(warning))
        elif self._told is not None:
            self._log.info("the files are again as they are in use", files=", ".join(after.fingerprints))
        self._settle(stamps)

    @property
    def _source(self) -> Source:
        """Of what is in use."""
        return self._publisher.intake.sources[self._half]

    def _settle(self, stamps: Mapping[str, Stamp]) -> None:
        self._seen, self._stamps = self._source.fingerprints, stamps
        self._unsettled, self._told, self._told_at = False, None, 0.0


def _stamps(paths: Iterable[str]) -> dict[str, Stamp]:
    return {path: _stamp(path) for path in paths}


def _stamp(path: str) -> Stamp:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _unchanged(seen: Mapping[str, bytes | None]) -> bool:
    return all(fingerprint(path) == before for path, before in seen.items())
