"""Other clients of the same pool: they take servers away, leave them soiled, and never wait for an answer to go on."""

import contextlib
import random
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.kit.client import Client, Gone
from tests.model.generator import PHRASES, Author
from tests.model.play import send
from tests.model.program import Actor, Send, closing
from tests.model.vocabulary import NAMES, PORTALS

#: Nobody has made its table: what is written there fails, and no lock is held.
STRANGER = Actor("stranger")
#: All that a program may say but changes of tables.
_KINDS = {kind: weight for kind, weight in PHRASES.items() if kind not in {Author.define, Author.outdate}}


class Neighbours:
    """Use as a context manager: `count` clients go on at random until it ends."""

    def __init__(self, open_: Callable[[], Client], count: int, seed: int) -> None:
        self._open = open_
        self._over = threading.Event()
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._live, args=(random.Random(seed + number),), daemon=True)
            for number in range(count)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)
        if error is None and self._errors:
            raise self._errors[0]

    def _live(self, dice: random.Random) -> None:
        try:
            while not self._over.is_set():
                self._visit(dice)
        except BaseException as error:  # handed to the test's thread
            self._errors.append(error)

    def _visit(self, dice: random.Random) -> None:
        """One connection: said in one go what a program may say, and gone in one of the ways of going."""
        author = Author(dice, STRANGER, dice.sample(NAMES, 3), dice.sample(PORTALS, 2))
        steps = [*author.write(dice.randrange(1, 4), _KINDS), *closing(STRANGER)]
        client = self._open()
        send(client, b"".join(step.message for step in steps if isinstance(step, Send)))
        leave = dice.choice([client.vanish, client.reset, client.close, client.close])
        if dice.random() < 0.8:
            with contextlib.suppress(Gone):  # PostgreSQL ends whoever breaks off a copy with something else
                client.read_until("Z")
        leave()
