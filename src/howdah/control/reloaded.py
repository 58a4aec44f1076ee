"""What has become of a reload."""

from typing import NamedTuple


class Reloaded(NamedTuple):
    """Said to whoever has asked for it."""

    problem: str = ""  # why the old configuration stays in force; "": it does not
    changes: tuple[str, ...] = ()  # a sentence each
