"""Two databases that hold the same, one reached directly, one through howdah; and who plays programs in both."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.kit.client import Client
from tests.kit.deadline import wait_until
from tests.kit.postgres import Postgres
from tests.model import stale, vocabulary
from tests.model.play import Contestant, Oracle, Undecided
from tests.model.program import Actor, Program, Send, listing
from tests.model.transcript import Difference, Transcript

#: The two databases.
DIRECT, THROUGH = "model_direct", "model_howdah"
#: What leaves a table in another state than it was in.
_CHANGES = re.compile(rb"INSERT|UPDATE|DELETE FROM|TRUNCATE|FROM STDIN|(ALTER|CREATE) TABLE|DROP TABLE IF EXISTS of")
#: Of the types of messages: behind CopyData that fails ("!") something that is no part of a copy, before the client has
#: read of the failure ("|").
_BLURRED = re.compile(r"d![dH]*[^dHcf|]")
#: How often a program is played again because of statements that were outdated.
TIMES = 8


class Universe:
    """One of the databases.  `open` makes a connection to it the way that is compared."""

    def __init__(
        self, postgres: Postgres, database: str, open_: Callable[[], Client], is_bare: Callable[[], bool] = lambda: True
    ) -> None:
        """`is_bare`: is there nothing between the clients and PostgreSQL that keeps sessions, or has it none now?"""
        self._postgres, self._database, self._open, self._is_bare = postgres, database, open_, is_bare
        self._clients: dict[Actor, Client] = {}
        self._keeper: Client | None = None
        self._is_changed = True

    def connect(self, who: Actor) -> Client:
        if who not in self._clients:
            self._clients[who] = self._open()
        return self._clients[who]

    def prepare(self, program: Program) -> None:
        """The tables as they were in the beginning."""
        if self._is_changed:
            self._keeper = self._keeper or self._postgres.client(database=self._database)
            replies = self._keeper.query(vocabulary.SETUP)
            assert not replies.errors, replies
        self._is_changed = any(isinstance(step, Send) and _CHANGES.search(step.message) for step in program)

    def forget_sessions(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def close(self) -> None:
        self.forget_sessions()
        if self._keeper:
            self._keeper.close()
            self._keeper = None
        self._is_changed = True

    def renew_servers(self) -> None:
        """End PostgreSQL's sessions: after a difference nobody knows what state they are in."""
        keeper = self._keeper.process_id if self._keeper else 0
        end_all = (f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._database}'"
                   f" AND backend_type = 'client backend' AND pid <> {keeper}")  # fmt: skip
        wait_until(lambda: not self._postgres.sql(end_all) and self._is_bare(), "PostgreSQL's sessions to end")

    def renew_sessions(self, transcript: Transcript) -> None:
        """What is at rest is used again, as good as new."""
        for who in list(self._clients):
            client = self._clients[who]
            if who in transcript.ended or who not in transcript.ledgers:
                client.close()
                del self._clients[who]
            else:
                client.query("DISCARD ALL")


@dataclass
class Count:
    """How a run went."""

    played: int = 0
    cured: int = 0
    undecided: int = 0
    excluded: Counter[str] = field(default_factory=Counter)


class Referee:
    """Plays programs in both universes."""

    def __init__(self, direct: Universe, howdah: Universe, within: float = 20.0) -> None:
        """`within`: how long to wait for one message."""
        self.direct, self.howdah, self.within = direct, howdah, within
        self.count = Count()
        self._is_spoilt = False

    def difference(self, program: Program) -> Difference | None:
        """Where howdah answers differently."""
        if self._is_spoilt:
            self.howdah.renew_servers()
            self._is_spoilt = False
        transcript = self._ask_oracle(program)
        if reason := excluded(transcript):
            self.count.excluded[reason] += 1
            return None
        self.count.played += 1
        for _ in range(TIMES):
            try:
                difference = self._play(transcript)
            except Undecided:
                break
            if difference is None:
                return None
            if stale.may_be_told(difference, program):
                break
            if difference.answers is None or not stale.is_spared(difference):
                self._is_spoilt = True
                return difference
            self.count.cured += 1
            transcript = self._ask_oracle(stale.cured(transcript, difference.answers))
            if excluded(transcript):
                break
        self.count.undecided += 1
        return None

    def close(self) -> None:
        self.direct.close()
        self.howdah.close()

    def _ask_oracle(self, program: Program) -> Transcript:
        self.direct.prepare(program)
        try:
            transcript = Oracle(self.direct.connect, program, self.within).play()
        except BaseException as error:
            error.add_note(f"PostgreSQL was asked\n{listing(program)}")
            self.direct.forget_sessions()
            raise
        self.direct.renew_sessions(transcript)
        return transcript

    def _play(self, transcript: Transcript) -> Difference | None:
        self.howdah.prepare(transcript.program)
        try:
            return Contestant(self.howdah.connect, transcript, self.within).play()
        finally:
            self.howdah.forget_sessions()


def excluded(transcript: Transcript) -> str:
    """Why a program is not for comparing, if so."""
    if any(reply.message.sqlstate == "XX000" for reply in transcript.errors):
        return "PostgreSQL is out of step with itself"  # 18 is after a Query behind extended messages without Sync
    for number, step in enumerate(transcript.steps):
        is_change = isinstance(step, Send) and stale.defines(step.message)
        if is_change and transcript.ledgers[step.who].before.get(number) != ("I", False):
            return "a table is changed inside a transaction"  # see `vocabulary`
    if any(_BLURRED.search(_run(transcript, who)) for who in transcript.ledgers):
        # What ignores a Sync, a copy that goes on or what has failed?  To one between the two it is not clear in time.
        return "more than the rest of a copy is sent behind data that fails"
    return ""


def _run(transcript: Transcript, who: Actor) -> str:
    """The types of the messages that a client sends, with "!" and "|" as `_BLURRED` has them."""
    run, read = "", 0
    for number, step in enumerate(transcript.steps):
        if step.who != who:
            continue
        if isinstance(step, Send):
            failed = any(reply.tag == "E" for reply in transcript.ledgers[who].answers.get(number, ()))
            run += chr(step.message[0]) + "!" * failed
        elif transcript.read_until.get(number, 0) > read:
            read = transcript.read_until[number]
            run += "|"
    return run
