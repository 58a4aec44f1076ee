"""A session of the admin console whose answers can be waited for, or not."""

from types import TracebackType
from typing import Self

from tests.kit import wire
from tests.kit.client import Client


class Console:
    """Over the Unix socket, as the pooler's own user."""

    def __init__(self, socket_path: str) -> None:
        self._client = Client(socket_path)
        self._client.log_in(user="pgbouncer", database="pgbouncer")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def run(self, command: str) -> str:
        """The tag of its answer, or the SQLSTATE and text of its error."""
        self.send(command)
        return self.answer()

    def send(self, command: str) -> None:
        self._client.send(wire.query(command))

    @property
    def has_answer(self) -> bool:
        """Does not wait."""
        return self._client.has_input()

    def answer(self) -> str:
        replies = self._client.read_until("Z")
        if replies.errors:
            return f"{replies.error.sqlstate}: {replies.error.fields['M']}"
        return replies.command_tags[-1]

    def state(self) -> str:
        """What SHOW STATE says yes to."""
        return " ".join(str(name) for name, value in self._client.query("SHOW STATE").rows if value == "yes")

    def cancel(self) -> None:
        """What psql does on Ctrl-C."""
        self._client.cancel()

    def vanish(self) -> None:
        """Leave without a word."""
        self._client.vanish()

    def read_to_end(self) -> None:
        self._client.read_to_end()
