"""A load generator in a process of its own that gets ready, waits for the word, runs and says what it did.

Getting ready (logging in, preparing statements) is so no part of what is measured.  The process writes "ready", reads a
line, and writes one JSON object, the fields of `Done`; what it writes to standard error is why it failed.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bench.places import ROOT


@dataclass(frozen=True, slots=True)
class Done:
    """What was done; the percentiles are of whatever the load waits for as one thing."""

    units: int
    seconds: float
    cpu_s: float  # the generator's
    p50_us: float
    p95_us: float
    p99_us: float

    @property
    def latencies(self) -> Mapping[str, float]:
        return {"p50_us": self.p50_us, "p95_us": self.p95_us, "p99_us": self.p99_us}


class Poised:
    """Such a process, ready from the context's beginning on, gone at its end."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise self._failure(self._process.communicate()[1])
        return self

    def go(self) -> Done:
        """Let it run to its end."""
        said, written = self._process.communicate("go\n")
        if self._process.returncode:
            raise self._failure(written)
        return Done(**json.loads(said))

    def _failure(self, written: str) -> RuntimeError:
        return RuntimeError(written.strip()[-2000:] or f"the load generator ended with {self._process.returncode}")

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.returncode is None:
            self._process.communicate()
