"""PgBouncer's auth_file (userlist.txt): a user and a secret in double quotes on each line.

As in PgBouncer a quote inside quotes is doubled, what follows on the line is passed over, and of two lines for one
user the last counts.  PgBouncer stops at the first line it cannot read, and so forgets the users below; here that is an
error, and nothing is changed.
"""

import re
from dataclasses import dataclass, field

from howdah.control.auth.lines import LONGEST_NAME, first_of, is_too_long, shown
from howdah.control.auth.secrets import NO_PASSWORD, parse_secret
from howdah.control.config.errors import Problem
from howdah.dataplane.plan import Secret

_QUOTED = r'"((?:[^"]|"")*+)"'
_ENTRY = re.compile(rf"{_QUOTED}\s+{_QUOTED}")
_NAME = re.compile(_QUOTED)
_FORM = 'lines are: "user" "secret"'


@dataclass(slots=True)
class Users:
    """What a file says; not to be used when a problem is fatal."""

    secrets: dict[str, Secret] = field(default_factory=dict, repr=False)  # by user name; NO_PASSWORD where it is empty
    problems: list[Problem] = field(default_factory=list)


def read_userlist(path: str, text: str) -> Users:
    """Read a whole file; `path` names it in problems.  Raises nothing: what is wrong is in `problems`.

    `text` is UTF-8 decoded, with bytes that are none as lone surrogates ("surrogateescape"): passwords may be any
    bytes.
    """
    users = Users()
    seen: dict[str, int] = {}
    for number, whole in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = whole.strip()
        if not line or line[0] in ";#":
            continue
        entry = _ENTRY.match(line)
        try:
            if entry is None:
                raise ValueError(_why_not(line))
            name = _name(entry[1].replace('""', '"'))
            secret = parse_secret(entry[2].replace('""', '"')) if entry[2] else NO_PASSWORD
        except ValueError as error:
            message, _, advice = str(error).partition("; ")
            users.problems.append(Problem(f"{path}:{number}", "", message, advice))
            continue
        if name in seen:
            message = f"{shown(name)} stands in line {seen[name]} too: this one counts"
            users.problems.append(Problem(f"{path}:{number}", "", message, "remove one of them", fatal=False))
        seen[name] = number
        users.secrets[name] = secret
    users.problems = first_of(users.problems)
    return users


def _name(name: str) -> str:
    if not name:
        raise ValueError(f"the user name is empty; {_FORM}")
    if is_too_long(name):
        raise ValueError(f"the user name {shown(name)} is longer than {LONGEST_NAME} bytes; PostgreSQL's are not")
    if "\0" in name:
        raise ValueError(f"the user name {shown(name)} holds a NUL character; is this a text file?")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the user name {shown(name)} is not UTF-8; save the file as UTF-8") from None
    return name


def _why_not(line: str) -> str:
    """What is wrong with a line.  Says nothing of its contents: there is a secret in it."""
    name = _NAME.match(line)
    if not line.startswith('"'):
        return f"user and secret stand in double quotes; {_FORM}"
    if name is None:
        return 'the quote around the user name is not closed; a quote inside quotes is written ""'
    rest = line[name.end() :].lstrip()
    if not rest:
        return f'there is no secret behind the user; {_FORM}, and "" for a user without one'
    if not rest.startswith('"'):
        return f"the secret stands in double quotes right behind the user; {_FORM}"
    if rest == line[name.end() :]:
        return f'a blank is missing between user and secret, or a quote is not doubled; {_FORM}, a quote inside is ""'
    return 'the quote around the secret is not closed; a quote inside quotes is written ""'
