"""Start the generator and read what it says."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import Any, Literal, Self

from bench.credentials import PASSWORD
from bench.pgbench import percentile
from bench.poised import Poised
from bench.storm.build import program

Tls = Literal["off", "full", "resumed"]
#: Threads cannot do more than the cores there are, and the pooler and PostgreSQL want some of them, too.
CREWS = max(1, min(8, os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class Storm:
    """Some storms in a row; times in seconds from each storm's start, medians over the storms."""

    clients: int  # of all storms together, likewise the next four
    answered: int
    errors: int
    unfinished: int
    resumed: int
    first_error: str
    login_p50: float
    login_p99: float
    last: float
    generator_cpu: float  # CPU seconds, of all storms together
    busiest: float  # share of its time the busiest process of the generator was on a core; the worst storm's
    kept_waiting: float  # share of its time one was ready and had no core
    bystander_us: list[float]  # sorted; of all storms together

    def bystander(self, share: float) -> float:
        """A percentile of the bystander's times, in microseconds."""
        return percentile(self.bystander_us, share)


def parse(lines: list[str]) -> Storm:
    """One JSON object a storm, from the generator's standard output."""
    storms: list[Mapping[str, Any]] = [json.loads(line) for line in lines]

    def total(name: str) -> int:
        return sum(int(storm[name]) for storm in storms)

    def middle(name: str) -> float:
        return median(float(storm[name]) for storm in storms)

    return Storm(
        clients=total("clients"),
        answered=total("ok"),
        errors=total("errors"),
        unfinished=total("unfinished"),
        resumed=total("resumed"),
        first_error=next((str(storm["first_error"]) for storm in storms if storm["first_error"]), ""),
        login_p50=middle("login_p50_s"),
        login_p99=middle("login_p99_s"),
        last=middle("last_s"),
        generator_cpu=sum(float(storm["cpu_s"]) for storm in storms),
        busiest=max(float(storm["busiest"]) for storm in storms),
        kept_waiting=max(float(storm["kept_waiting"]) for storm in storms),
        bystander_us=sorted(float(us) for storm in storms for us in storm["bystander_us"]),
    )


def storm(port: int, *, clients: int, seconds: float, tls: Tls = "off", crews: int = CREWS) -> Storm:
    """`clients` at once, again and again until the storms have taken `seconds`."""
    told = _run("storm", port=port, clients=clients, seconds=seconds, tls=tls, crews=crews)
    return parse(told.splitlines())


@dataclass(frozen=True, slots=True)
class Copied:
    """What came of one COPY TO STDOUT or one SELECT."""

    bytes: int
    seconds: float
    cpu_s: float  # the generator's


def copy(port: int, *, sql: str, tls: Tls = "off") -> Copied:
    """One client that reads all of it."""
    return Copied(**json.loads(_run("copy", port=port, sql=sql, tls=tls)))


def statements(port: int, *, clients: int, count: int, seconds: float) -> Poised:
    """Clients that have each prepared `count` statements and will run one at random, again and again."""
    return Poised(_command("statements", port=port, clients=clients, statements=count, seconds=seconds))


def _command(mode: str, **options: object) -> list[str]:
    return [str(program()), mode, f"password={PASSWORD}", *(f"{name}={value}" for name, value in options.items())]


def _run(mode: str, **options: object) -> str:
    done = subprocess.run(_command(mode, **options), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"the load generator ended with {done.returncode}")
    return done.stdout


class IdleCrowd:
    """`clients` that have logged in and do nothing, for as long as the context lasts."""

    def __init__(self, port: int, clients: int, tls: Tls = "off") -> None:
        self._process = subprocess.Popen(
            _command("idle", port=port, clients=clients, tls=tls),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    @property
    def running(self) -> bool:
        """Whether its process is still there, and so its clients."""
        return self._process.poll() is None

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            _, written = self._process.communicate()
            raise RuntimeError(written.strip())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
