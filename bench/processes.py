"""Start and end the programs that are measured."""

import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.places import NotHere
from bench.wire import Refused, wait_for_login


class Server:
    """A process that clients connect to, with its log; a context manager that ends it."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        port: int,
        log: Path,
        user: pwd.struct_passwd | None = None,
        environment: Mapping[str, str] | None = None,
        stop_signal: int = signal.SIGTERM,
    ) -> None:
        self.port, self.log, self._stop_signal = port, log, stop_signal
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
                start_new_session=True,
                cwd="/" if user else None,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_ready(
        self, *, database: str = "bench", user: str = "bench", seconds: float = 30.0, secured: bool = False
    ) -> None:
        """Return when clients can log in, or are told, if `secured`, what is missing; else say what was written."""
        try:
            wait_for_login(
                self.port, seconds=seconds, user=user, database=database, secured=secured,
                alive=lambda: self.process.poll() is None,
            )  # fmt: skip
        except (OSError, Refused) as error:
            self.stop()
            written = self.log.read_text(errors="replace")[-2000:]
            raise NotHere(f"{self.process.args!r} does not accept clients: {error}\n{written}") from error

    def stop(self) -> None:
        """End it; by force when it does not go within ten seconds."""
        if self.process.poll() is None:
            self.process.send_signal(self._stop_signal)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
