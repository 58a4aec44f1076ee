r"""Regular expressions of HBA and ident files: from PostgreSQL's dialect to POSIX's, which the data plane compiles.

The dialects read the same characters differently: `\d` is a digit in PostgreSQL and the letter d in POSIX, and
`[\w.]` holds a backslash there.  A rule that silently fits others than it says is worse than none, so what has the
same meaning under another spelling is spelled so, and the rest is refused (PostgreSQL's manual, "POSIX Regular
Expressions").
"""

import re
from dataclasses import dataclass, field

from howdah.control.auth.lines import printable

#: PostgreSQL's limit for {m,n}.
MOST_REPEATS = 255
#: How many more parts a regular expression may have with its repetitions written out: libc does so, without any limit
#: but memory and stack, which a few nested ones exhaust.
MOST_PARTS = 2_000
#: How deep its parentheses may be: libc calls itself for each, until its stack is used up.
MOST_DEPTH = 100

_CLASSES = {"d": "[:digit:]", "s": "[:space:]", "w": "[:alnum:]_"}
_NAMED = ("alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit")
_ANCHORS = {"A": "^", "Z": "$"}
_BOUND = re.compile(r"\{([0-9]{1,4})(,)?([0-9]{1,4})?\}")
_CLASS = re.compile(r"\[:(\w*):\]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """`text` is POSIX's; `groups` is how many pairs of parentheses it has."""

    text: str
    groups: int


def posix(text: str) -> Pattern:
    """The POSIX extended regular expression for one of PostgreSQL's.  ValueError says, to people, what is wrong."""
    reader = _Reader(text)
    reader.read()
    return Pattern("".join(reader.out), reader.groups)


@dataclass(slots=True)
class _Reader:
    text: str
    at: int = 0
    open: int = 0
    groups: int = 0
    repeatable: bool = False  # what stands before this place can be repeated
    repeated: bool = False  # and has been
    out: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=lambda: [0])  # written out: in all, and in each group that is open
    last: int = 0  # those of what was read last

    def read(self) -> None:
        if not self.text:
            raise ValueError("the regular expression is empty; write all for every name")
        while self.at < len(self.text):
            self._one(self.text[self.at])
        if self.open:
            raise ValueError("a ( is not closed; write \\( for the character")

    def _one(self, character: str) -> None:
        match character:
            case "\\":
                self._escape()
            case "[":
                self._brackets()
            case "(":
                self._open()
            case ")":
                self._close()
            case "*" | "+" | "?":
                self._repeat(character)
            case "{":
                self._bound()
            case "^" | "$" | "|":
                self._put(character, repeatable=False)
            case "}":
                self._put("\\}")
            case _:
                self._put(character)

    def _put(self, written: str, read: int = 1, repeatable: bool = True) -> None:
        self.out.append(written)
        self.at += read
        self.repeatable = repeatable
        self.repeated = False
        self.last = 1
        self._count(1)

    def _count(self, parts: int) -> None:
        self.parts[-1] += parts
        if self.parts[-1] > MOST_PARTS + len(self.text):
            raise ValueError("its repetitions come to too much when written out; use fewer or smaller ones")

    def _escape(self) -> None:
        letter = self.text[self.at + 1 : self.at + 2]
        if not letter:
            raise ValueError("ends with a backslash; write \\\\ for the character")
        if letter.lower() in _CLASSES:
            self._put(f"[{'^' if letter.isupper() else ''}{_CLASSES[letter.lower()]}]", 2)
        elif letter in _ANCHORS:
            self._put(_ANCHORS[letter], 2, repeatable=False)
        elif letter.isdecimal():
            raise ValueError(f"\\{letter} inside a regular expression is not supported; repeat what it stands for")
        elif letter.isalpha():
            raise ValueError(f"\\{letter} is not supported; write \\w, \\d, \\s or a class as [[:alpha:]]")
        elif letter.isalnum():
            self._put(letter, 2)
        else:
            self._put(f"\\{letter}" if letter in ".[]()*+?{}|^$\\" else letter, 2)

    def _open(self) -> None:
        if self.text.startswith("(?", self.at):
            raise ValueError("(? is not supported; use a plain group, as in (a|b)")
        self.open += 1
        if self.open > MOST_DEPTH:
            raise ValueError(f"its parentheses are more than {MOST_DEPTH} deep; use fewer")
        self.groups += 1
        self._put("(", repeatable=False)
        self.parts.append(0)

    def _close(self) -> None:
        if not self.open:
            raise ValueError("a ) closes nothing; write \\) for the character")
        self.open -= 1
        inside = self.parts.pop()
        self._put(")")
        self._count(inside)
        self.last += inside

    def _repeat(self, written: str, read: int = 1, times: int = 2) -> None:
        shown = self.text[self.at : self.at + read]
        if self.repeated:
            raise ValueError(f"{shown} follows another repetition; leave it out, or use parentheses")
        if not self.repeatable:
            raise ValueError(f"{shown} has nothing to repeat; write \\{shown} for the character")
        self._count(self.last * (times - 1))
        self.last *= times
        self.out.append(written)
        self.at += read
        self.repeated = True

    def _bound(self) -> None:
        if not self.text[self.at + 1 : self.at + 2].isdecimal():
            self._put("\\{")  # PostgreSQL: only a digit makes it a bound
            return
        bound = _BOUND.match(self.text, self.at)
        if bound is None:
            raise ValueError("a { is malformed; repetitions are {3}, {3,} or {3,5}, the character is \\{")
        least, most = int(bound[1]), int(bound[3] or bound[1])
        if (bound[3] and not bound[2]) or least > most or most > MOST_REPEATS:
            raise ValueError(f"{bound[0]} is not a repetition; numbers go from 0 to {MOST_REPEATS}, the smaller first")
        self._repeat(bound[0], len(bound[0]), max(most, 1) + (not bound[3] and bool(bound[2])))

    # --- [...]

    def _brackets(self) -> None:
        """POSIX knows no escapes here: ] must come first, - last, and ^ not first."""
        inside = _Inside(self.text, self.at + 1)
        inside.read()
        self._put(inside.written(), inside.at - self.at)


@dataclass(slots=True)
class _Inside:
    """What stands between brackets, from behind the `[` to behind the `]`."""

    text: str
    at: int
    negated: bool = False
    items: list[str] = field(default_factory=list)  # characters, ranges as "a-z", classes as "[:alpha:]"

    def read(self) -> None:
        if self._next("^"):
            self.negated = True
        first = True
        while first or not self._next("]"):
            if self.at >= len(self.text):
                raise ValueError("a [ is not closed; write \\[ for the character")
            self._item()
            first = False

    def written(self) -> str:
        """The items in an order in which none is taken for something else."""
        plain = [item for item in self.items if item not in {"]", "^", "-", "["}]
        plain += [item for item in self.items if item == "["][:1]  # [: and its like would begin something
        first = [item for item in self.items if item == "]"][:1]
        last = [item for item in ("^", "-") if item in self.items]
        if last == ["^"] and not first and not plain and not self.negated:
            return "\\^"
        if last == ["^", "-"] and not first and not plain and not self.negated:
            last = ["-", "^"]
        return f"[{'^' if self.negated else ''}{''.join([*first, *plain, *last])}]"

    def _next(self, character: str) -> bool:
        if self.text.startswith(character, self.at):
            self.at += 1
            return True
        return False

    def _item(self) -> None:
        if self.text.startswith("[", self.at) and self.text[self.at + 1 : self.at + 2] in {".", "=", ":"}:
            self._named()
            return
        low = self._character()
        if len(low) > 1:  # \d and its like
            self.items.append(low)
        elif self.text.startswith("-", self.at) and self.text[self.at + 1 : self.at + 2] not in {"", "]"}:
            self.at += 1
            high = self._character()
            if len(high) > 1 or high < low or not (low + high).isalnum():
                raise ValueError(
                    f"{printable(f'{low}-{high}')} is no range between brackets; write - last for the character"
                )
            self.items.append(f"{low}-{high}")
        else:
            self.items.append(low)

    def _named(self) -> None:
        named = _CLASS.match(self.text, self.at)
        if named is None or named[1] not in _NAMED:
            raise ValueError(f"an unknown class between brackets; classes are [:{':], [:'.join(_NAMED)}:]")
        self.items.append(named[0])
        self.at = named.end()

    def _character(self) -> str:
        character = self.text[self.at]
        self.at += 1
        if not character.isascii():  # a byte of it, in the C locale
            name = printable(character)
            raise ValueError(f"{name} between brackets is not supported; use a group, as in (a|{name})")
        if character != "\\":
            return character
        letter = self.text[self.at : self.at + 1]
        self.at += 1
        if letter in _CLASSES:
            return _CLASSES[letter]
        if not letter or letter.isalnum() or letter == "\\":
            raise ValueError(f"\\{letter} between brackets is not supported; use a group, as in ([a-z]|\\\\)")
        return letter
