"""What predecessor and successor say to each other.

`Ask` is read in all versions alike.  Everything else belongs to PROTOCOL, which grows when an older howdah could not
understand what a newer one says: then there is no hand-over between the two, and nothing has happened.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

PROTOCOL = 1


class _Letter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")


class Ask(_Letter):
    """The successor's first words."""

    kind: Literal["ask"] = "ask"
    protocol: int
    version: str
    pid: int


class Refusal(_Letter):
    """The predecessor's answer; it goes on as before."""

    kind: Literal["refusal"] = "refusal"
    text: str


class Door(_Letter):
    """A listening socket, or the lock of one; its file descriptor comes along."""

    use: Literal["tcp", "proxied", "unix", "lock", "handed", "http", "doorstep"]
    group: int = 0  # those of one TCP address
    name: str = ""  # of a Unix socket: its path, abstract ones with "@" in front
    grouped: bool = False  # its group has been chosen


class Doors(_Letter):
    """The predecessor's other answer."""

    kind: Literal["doors"] = "doors"
    pid: int
    version: str
    doors: tuple[Door, ...]
    disabled: tuple[str, ...]  # databases
    watchdog_s: float  # how often the service manager wants to hear from the process; 0: never


class Up(_Letter):
    """The successor accepts clients: now the predecessor need not any more."""

    kind: Literal["up"] = "up"


class Client(_Letter):
    """A client; its file descriptor comes along."""

    kind: Literal["client"] = "client"
    number: int
    baggage: bytes


class Have(_Letter):
    """From now on the client is the successor's alone."""

    kind: Literal["have"] = "have"
    number: int


class Cannot(_Letter):
    """The client is to stay where it was."""

    kind: Literal["cannot"] = "cannot"
    number: int
    text: str


class Cancel(_Letter):
    """Somebody has come to the successor with a cancel key that is none of its own."""

    kind: Literal["cancel"] = "cancel"
    pid: int
    secret: bytes


class Done(_Letter):
    """The predecessor has no client left, and ends."""

    kind: Literal["done"] = "done"


class Farewell(_Letter):
    """The successor is told to stop, or has a successor of its own: nobody is to listen in its place."""

    kind: Literal["farewell"] = "farewell"


Letter = Ask | Refusal | Doors | Up | Client | Have | Cannot | Cancel | Done | Farewell
LETTER: TypeAdapter[Letter] = TypeAdapter(Annotated[Letter, Field(discriminator="kind")])
