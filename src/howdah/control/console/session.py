"""One console client's protocol, without any I/O: frontend messages in, backend messages out.

The data plane has answered the startup packet; everything after the first ReadyForQuery is handled here.  Called by
`desk`.
"""

from asyncio import Future
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from howdah.control.console import messages
from howdah.control.console.action import FAILED, IN_TRANSACTION, Action, ConsoleError, Outcome, SessionState
from howdah.control.console.columns import Cell, Column
from howdah.control.console.commands import Commands
from howdah.control.console.messages import BodyReader
from howdah.control.console.parameters import value_of
from howdah.control.console.statements import Statement, split

T = TypeVar("T")

#: Nothing sensible said to a console is longer, and nobody needs more names.
LONGEST_MESSAGE = 1 << 20
MOST_NAMES = 1000


#: Work that may have to wait for something before it goes on, and what it comes to.
Work = Generator[Future[Any], None, T]


class Answer(NamedTuple):
    data: bytes
    close: bool
    waits_for: Future[Any] | None = None  # then `resume` is to be called once it is done


class _Goodbye(Exception):
    """The client said Terminate."""


@dataclass(slots=True)
class _Portal:
    action: Action | None
    binary: tuple[bool, ...]  # result formats, one a column
    outcome: Outcome | None = None  # once it has been executed
    rest: Iterator[Sequence[Cell]] = field(default_factory=lambda: iter(()))

    @property
    def columns(self) -> tuple[Column, ...]:
        return (self.action.columns if self.action else None) or ()


class Session:
    """Answers one client.  `receive` never raises: what is wrong becomes an ErrorResponse."""

    def __init__(
        self, commands: Commands, user: str = "", over_unix_socket: bool = False, application_name: str = ""
    ) -> None:
        self._commands = commands
        self._state = SessionState(user, over_unix_socket)
        if application_name:
            self._state.variables["application_name"] = application_name
        self._portals: dict[str, _Portal] = {}
        self._pending = bytearray()  # an incomplete message, or what comes while a statement waits
        self._skipping = False  # after an error in the extended protocol, until Sync
        self._out: list[bytes] = []
        self._work: Work[None] | None = None  # of a statement that waits
        self._waits: Action | None = None  # which one, once it is performed
        self.statements = 0  # executed so far

    def receive(self, data: bytes) -> Answer:
        self._pending += data
        if self._work is None:
            return self._go_on(self._all_messages())
        if len(self._pending) <= LONGEST_MESSAGE:
            return Answer(b"", False)
        too_much = ConsoleError("54000", "too much was sent while a statement waits", severity="FATAL")
        return Answer(messages.error(too_much), True)

    def resume(self) -> Answer:
        """Go on with the statement whose future, `Answer.waits_for`, is done."""
        work, self._work = self._work, None
        return Answer(b"", False) if work is None else self._go_on(work)

    def undo(self) -> None:
        """The client cancels the statement that waits."""
        if self._waits is not None and self._waits.undo is not None:
            self._waits.undo()

    def _go_on(self, work: Work[None]) -> Answer:
        close, waits_for = False, None
        try:
            waits_for = next(work, None)
        except _Goodbye:
            close = True
        except ConsoleError as failure:  # only FATAL ones come this far
            self._out.append(messages.error(failure))
            close = True
        self._work = work if waits_for is not None else None
        data = b"".join(self._out)
        self._out.clear()  # the same list: work that waits goes on writing to it
        return Answer(data, close, waits_for)

    def _all_messages(self) -> Work[None]:
        while (frame := self._next_message()) is not None:
            yield from self._dispatch(*frame, self._out)

    def _next_message(self) -> tuple[bytes, bytes] | None:
        if len(self._pending) < 5:
            return None
        length = int.from_bytes(self._pending[1:5], "big", signed=True)
        if not 4 <= length <= LONGEST_MESSAGE:
            raise ConsoleError("08P01", "invalid message length", severity="FATAL")
        if len(self._pending) < length + 1:
            return None
        tag, body = bytes(self._pending[:1]), bytes(self._pending[5 : length + 1])
        del self._pending[: length + 1]
        return tag, body

    def _dispatch(self, tag: bytes, body: bytes, out: list[bytes]) -> Work[None]:
        """The one switch over message types."""
        if tag == b"X":
            raise _Goodbye
        if tag == b"S":
            self._sync(out)
        elif tag in _OUT_OF_PLACE_COPY:
            pass  # PostgreSQL ignores these outside COPY: they may still be on their way after an error
        elif tag in (b"Q", b"F"):
            yield from self._simple(tag, body, out)
        elif tag in _EXTENDED:
            if not self._skipping:
                yield from self._extended(tag, body, out)
        else:
            raise ConsoleError("08P01", f"invalid frontend message type {tag[0]}", severity="FATAL")

    # --- simple protocol

    def _simple(self, tag: bytes, body: bytes, out: list[bytes]) -> Work[None]:
        """Query and FunctionCall end with ReadyForQuery, whatever happens; after an error they, too, wait for Sync."""
        if self._skipping:
            return
        self._portals.pop("", None)
        self._state.prepared.pop("", None)
        try:
            if tag == b"F":
                raise ConsoleError("0A000", "function calls are not supported in the console")
            reader = BodyReader(body)
            text = reader.text()
            reader.end()
            yield from self._query(text, out)
        except ConsoleError as failure:
            self._fail(failure, out)
        out.append(messages.ready_for_query(self._state.transaction))

    def _query(self, text: str, out: list[bytes]) -> Work[None]:
        statements = split(text)
        if not statements:
            out.append(messages.EMPTY_QUERY)
        for statement in statements:
            action = yield from self._action(statement)
            if action.parameters:
                raise ConsoleError("42P02", "there is no parameter $1", "A simple query has no values for parameters.")
            outcome = yield from self._perform(action, out)
            if action.columns is not None:
                text_only = (False,) * len(action.columns)
                out.append(messages.row_description(action.columns, text_only))
                out += _rows(action.columns, text_only, outcome.rows)
            out.append(messages.command_complete(outcome.tag))

    # --- extended protocol

    def _extended(self, tag: bytes, body: bytes, out: list[bytes]) -> Work[None]:
        reader = BodyReader(body)
        try:
            if tag == b"E":
                yield from self._execute(reader, out)
            elif tag == b"P":
                yield from self._parse(reader, out)
            else:
                getattr(self, _EXTENDED[tag])(reader, out)
        except ConsoleError as failure:
            self._fail(failure, out)
            self._skipping = True

    def _sync(self, out: list[bytes]) -> None:
        self._skipping = False
        if self._state.transaction != IN_TRANSACTION:
            self._portals.clear()  # portals end with their transaction
        out.append(messages.ready_for_query(self._state.transaction))

    def _parse(self, reader: BodyReader, out: list[bytes]) -> Work[None]:
        name, text = reader.text(), reader.text()
        types = tuple(reader.int32() for _ in range(reader.int16()))
        reader.end()
        statements = split(text)
        if len(statements) > 1:
            raise ConsoleError("42601", "cannot insert multiple commands into a prepared statement")
        if name and name in self._state.prepared:
            raise ConsoleError("42P05", f'prepared statement "{name}" already exists')
        _check_room(self._state.prepared)
        self._state.prepared[name] = (yield from self._action(statements[0], types)) if statements else None
        out.append(messages.PARSE_COMPLETE)

    def _bind(self, reader: BodyReader, out: list[bytes]) -> None:
        portal, name = reader.text(), reader.text()
        parameter_formats = [reader.int16() for _ in range(reader.int16())]
        values = [reader.value() for _ in range(reader.int16())]
        result_formats = [reader.int16() for _ in range(reader.int16())]
        reader.end()
        action = self._prepared(name)
        wanted = action.parameters if action else ()
        if len(values) != len(wanted):
            raise ConsoleError(
                "08P01",
                f"bind message supplies {len(values)} parameters, but prepared statement requires {len(wanted)}",
            )
        if action is not None and action.bind is not None:
            action = action.bind(_values(wanted, parameter_formats, values))
        if portal and portal in self._portals:
            raise ConsoleError("42P03", f'cursor "{portal}" already exists')
        _check_room(self._portals)
        self._portals[portal] = _Portal(action, _result_formats(result_formats, action))
        out.append(messages.BIND_COMPLETE)

    def _describe(self, reader: BodyReader, out: list[bytes]) -> None:
        kind, name = reader.byte(), reader.text()
        reader.end()
        if kind == b"S":
            action = self._prepared(name)
            columns = action.columns if action else None
            out.append(messages.parameter_description(action.parameters if action else ()))
            binary: tuple[bool, ...] = (False,) * len(columns or ())
        else:
            portal = self._portal(kind, name)
            columns = portal.action.columns if portal.action else None
            binary = portal.binary
        out.append(messages.NO_DATA if columns is None else messages.row_description(columns, binary))

    def _execute(self, reader: BodyReader, out: list[bytes]) -> Work[None]:
        name, limit = reader.text(), reader.int32()
        reader.end()
        portal = self._portal(b"P", name)
        if portal.action is None:
            out.append(messages.EMPTY_QUERY)
            return
        if portal.outcome is None:
            portal.outcome = yield from self._perform(portal.action, out)
            portal.rest = iter(portal.outcome.rows)
        rows = list(islice(portal.rest, limit if limit > 0 else None))
        out += _rows(portal.columns, portal.binary, rows)
        suspended = 0 < limit == len(rows)
        out.append(messages.PORTAL_SUSPENDED if suspended else messages.command_complete(portal.outcome.tag))

    def _close(self, reader: BodyReader, out: list[bytes]) -> None:
        kind, name = reader.byte(), reader.text()
        reader.end()
        if kind == b"S":
            self._state.prepared.pop(name, None)
        elif kind == b"P":
            self._portals.pop(name, None)
        else:
            raise ConsoleError("08P01", f"invalid CLOSE message subtype {kind[0]}")
        out.append(messages.CLOSE_COMPLETE)

    def _flush(self, reader: BodyReader, _: list[bytes]) -> None:
        reader.end()  # every answer is sent at once anyway

    # --- what both share

    def _action(self, statement: Statement, types: Sequence[int] = ()) -> Work[Action]:
        action = self._commands.action(statement, self._state, types)
        return (yield from _awaited(action)) if isinstance(action, Future) else action

    def _perform(self, action: Action, out: list[bytes]) -> Work[Outcome]:
        if self._state.transaction == FAILED and not action.ends_transaction:
            raise ConsoleError(
                "25P02", "current transaction is aborted, commands ignored until end of transaction block"
            )
        self.statements += 1
        outcome = action.perform(self._state)
        if isinstance(outcome, Future):
            self._waits = action
            try:
                outcome = yield from _awaited(outcome)
            finally:
                self._waits = None
        if outcome.notice:
            out.append(messages.notice(outcome.notice, outcome.detail))
        out.extend(messages.parameter_status(name, value) for name, value in outcome.reported)
        return outcome

    def _prepared(self, name: str) -> Action | None:
        try:
            return self._state.prepared[name]
        except KeyError:
            raise ConsoleError("26000", f'prepared statement "{name}" does not exist') from None

    def _portal(self, kind: bytes, name: str) -> _Portal:
        if kind != b"P":
            raise ConsoleError("08P01", f"invalid DESCRIBE message subtype {kind[0]}")
        try:
            return self._portals[name]
        except KeyError:
            raise ConsoleError("34000", f'portal "{name}" does not exist') from None

    def _fail(self, failure: ConsoleError, out: list[bytes]) -> None:
        out.append(messages.error(failure))
        if self._state.transaction == IN_TRANSACTION:
            self._state.transaction = FAILED


def _awaited(future: Future[T]) -> Work[T]:
    yield future
    if future.cancelled():
        raise ConsoleError("57014", "canceling statement due to user request")
    return future.result()


def _rows(columns: Sequence[Column], binary: Sequence[bool], rows: Iterable[Sequence[Cell]]) -> list[bytes]:
    return list(messages.data_rows(columns, binary, rows)) if columns else []


def _values(oids: Sequence[int], formats: Sequence[int], values: Sequence[bytes | None]) -> list[Cell]:
    """Bind's values: formats as those of results."""
    if any(code not in (0, 1) for code in formats):
        raise ConsoleError("08P01", "unsupported format code in Bind message")
    if len(formats) <= 1:
        formats = (formats[0] if formats else 0,) * len(values)
    if len(formats) != len(values):
        raise ConsoleError("08P01", f"bind message has {len(formats)} parameter formats but {len(values)} parameters")
    given = zip(oids, formats, values, strict=True)
    return [value_of(number, oid, code == 1, raw) for number, (oid, code, raw) in enumerate(given, 1)]


def _result_formats(wanted: Sequence[int], action: Action | None) -> tuple[bool, ...]:
    """Bind's result formats: none means text, one is for all columns."""
    if any(code not in (0, 1) for code in wanted):
        raise ConsoleError("08P01", "unsupported format code in Bind message")
    count = len((action.columns if action else None) or ())
    if len(wanted) <= 1:
        return (bool(wanted and wanted[0]),) * count
    if len(wanted) != count:
        raise ConsoleError("08P01", f"bind message has {len(wanted)} result formats but query has {count} columns")
    return tuple(code == 1 for code in wanted)


def _check_room(names: dict[str, _Portal] | dict[str, Action | None]) -> None:
    if len(names) >= MOST_NAMES:
        raise ConsoleError("54000", f"more than {MOST_NAMES} prepared statements or portals in one console session")


_OUT_OF_PLACE_COPY = frozenset((b"d", b"c", b"f"))
#: Parse, Bind, Describe, Execute, Close, Flush.
_EXTENDED = {b"P": "_parse", b"B": "_bind", b"D": "_describe", b"E": "_execute", b"C": "_close", b"H": "_flush"}
