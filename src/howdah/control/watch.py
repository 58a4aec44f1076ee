"""Looks after the files beside the configuration while howdah runs: takes up new contents, tells of bad ones once.

Contents are compared, not times: Kubernetes swaps a symbolic link two levels up, editors and secret stores rename, and
a file that was only touched is no news.  What is bad is looked at twice before it is told of, since a key and its
certificate are seldom written in the same instant.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from howdah.control.aside import aside
from howdah.control.config.errors import ConfigError
from howdah.control.input_files import fingerprint
from howdah.control.intake import Intake, UnusableFiles, take_in
from howdah.control.log import FilteringBoundLogger
from howdah.control.publisher import Publisher
from howdah.control.tls_files import ending

POLL_S = 2.0
_DAY_S = 86_400.0
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
        self._ticket_key = ticket_key
        self._log = log
        self._intake = publisher.intake
        self._seen: Mapping[str, bytes | None] = self._intake.fingerprints  # good or bad
        self._stamps: Mapping[str, Stamp] = {}
        self._unsettled = False  # what was seen last was bad, and may have been half-written
        self._told = ""
        self._next_day = 0.0

    async def run(self) -> None:
        """Look now and again until cancelled."""
        while True:
            self._tell_of_endings()
            await asyncio.sleep(POLL_S)
            async with self._publisher.changing:
                await self.look()

    async def look(self) -> None:
        """Look once; whoever calls holds `Publisher.changing`."""
        if self._intake is not self._publisher.intake:  # a reload has read everything anew
            self._settle(self._publisher.intake, {})
            self._next_day = 0.0
        stamps = await aside("watch files", partial(_stamps, self._seen))
        if stamps == self._stamps and not self._unsettled:
            return
        if not self._unsettled and await aside("watch files", partial(_unchanged, self._seen)):
            self._stamps = stamps
            return
        try:
            intake = await aside("read files", partial(take_in, self._publisher.config, self._ticket_key))
        except UnusableFiles as failure:
            self._refuse(failure, stamps)
        else:
            self._take(intake, stamps)

    def _refuse(self, failure: UnusableFiles, stamps: Mapping[str, Stamp]) -> None:
        self._unsettled = failure.fingerprints != self._seen
        self._seen, self._stamps = failure.fingerprints, stamps
        problem = in_one_line(failure)
        if not self._unsettled and problem != self._told:
            self._told = problem
            self._log.error("changed files are not used, the old ones stay in force", problem=problem)

    def _take(self, intake: Intake, stamps: Mapping[str, Stamp]) -> None:
        before = self._publisher.intake
        changed = [path for path, found in intake.fingerprints.items() if before.fingerprints.get(path) != found]
        if changed:
            self._publisher.renew(intake)
            self._log.info("changed files are in use", files=", ".join(changed))
            for warning in intake.warnings:
                if warning not in before.warnings:
                    self._log.warning(str(warning))
        self._settle(self._publisher.intake, stamps)
        self._next_day = 0.0

    def _settle(self, intake: Intake, stamps: Mapping[str, Stamp]) -> None:
        self._intake, self._seen, self._stamps = intake, intake.fingerprints, stamps
        self._unsettled, self._told = False, ""

    def _tell_of_endings(self) -> None:
        """At the start, once a day, and when there are other certificates."""
        now = time.monotonic()
        if now < self._next_day:
            return
        self._next_day = now + _DAY_S
        for text in ending(self._publisher.intake.tls.certificates):
            self._log.warning(text)


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
