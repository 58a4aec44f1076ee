"""Ident files."""

from fuzz.python import written
from fuzz.python.claims import claim, claim_named, decoded, usable
from howdah.control.auth.ident import read_ident
from howdah.dataplane.plan import NameKind

PATH = "pg_ident.conf"


def check(data: bytes) -> None:
    text = decoded(data)
    ident = read_ident(PATH, text)
    claim_named(ident.problems, {PATH: text})
    for line in ident.lines:
        claim(line.system_user.kind in {NameKind.EXACT, NameKind.REGEX}, "a system user of no kind")
        claim(line.user.kind in {NameKind.EXACT, NameKind.REGEX, NameKind.ALL}, "a user of no kind")
        refers = line.user.kind is NameKind.EXACT and "\\1" in line.user.text
        claim(not refers or "(" in line.system_user.text, "a group that is not there")
        for name in (line.map, line.system_user.text, line.user.text):
            claim("\0" not in name and bool(name.encode() or not name), "no name")
    again = read_ident(PATH, written.ident(ident.lines))
    claim(usable(again.problems) and again.lines == ident.lines, f"written down it is something else: {again}")
