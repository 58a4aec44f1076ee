"""A client that listens: what it hears, whenever that comes."""

from collections.abc import Iterable

from tests.kit.client import READ_WITHIN, Client
from tests.kit.wire import Message, Replies

#: The listening servers of poolers.
LISTENING = "application_name = 'howdah listening'"


class Listener:
    """Keeps the notifications (channel and payload) and warnings that come for a client."""

    def __init__(self, client: Client, *channels: str) -> None:
        self.client = client
        self.heard = list[tuple[str, str]]()
        self.pids = list[int]()
        self.warnings = list[str]()
        for channel in channels:
            name = channel.replace('"', '""')
            self.query(f'LISTEN "{name}"')

    def take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.tag == "A":
                pid, channel, payload = message.notification
                self.heard.append((channel, payload))
                self.pids.append(pid)
            elif message.tag == "N":
                self.warnings.append(message.sqlstate)

    def query(self, sql: str) -> Replies:
        """Ask, and give what answers it: without what is notified in between."""
        replies = self.client.query(sql)
        self.take(replies)
        return Replies(reply for reply in replies if reply.tag not in "AN")

    def hear(self, count: int, within: float = READ_WITHIN) -> list[tuple[str, str]]:
        """Wait until there are `count` notifications in all; gives all."""
        while len(self.heard) < count:
            self.take([self.client.read(within)])
        return self.heard

    def hear_warning(self, within: float = READ_WITHIN) -> None:
        while not self.warnings:
            self.take([self.client.read(within)])

    @property
    def payloads(self) -> list[str]:
        return [payload for _, payload in self.heard]

    def channels(self) -> list[str]:
        """Its own, by pg_listening_channels()."""
        rows = self.query("SELECT channel FROM pg_listening_channels() AS l(channel) ORDER BY channel").rows
        return [row[0] or "" for row in rows]
