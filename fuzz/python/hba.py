"""HBA files.  An input is several files with a form feed in between: the HBA file, then those named a, b, ..."""

import re
import string
from dataclasses import replace

from fuzz.python import written
from fuzz.python.claims import claim, claim_named, decoded, usable
from howdah.control.auth.hba import Hba, HbaLine, read_hba
from howdah.dataplane.plan import Method, NameKind, Transport

MAIN = "pg_hba.conf"


def read(files: dict[str, str]) -> Hba:
    def read_file(path: str) -> str:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path]

    return read_hba(MAIN, files[MAIN], read_file)


def unplaced(lines: tuple[HbaLine, ...]) -> list[HbaLine]:
    """The same lines wherever they stand."""
    return [replace(line, rule=replace(line.rule, where="")) for line in lines]


def check(data: bytes) -> None:
    files = dict(zip([MAIN, *string.ascii_lowercase], decoded(data).split("\f"), strict=False))
    hba = read(files)
    claim_named(hba.problems, files)
    claim(bool(hba.lines) or not usable(hba.problems), "no rules and nothing wrong")
    for line in hba.lines:
        _claim_line(line)
    if hba.lines:
        again = read({MAIN: written.hba(hba.lines), written.EMPTY_FILE: ""})
        claim(usable(again.problems), f"written down it is wrong: {again.problems}")
        claim(unplaced(again.lines) == unplaced(hba.lines), "written down it is something else")


def _claim_line(line: HbaLine) -> None:
    rule = line.rule
    claim(bool(re.fullmatch(r"[\w.]+:[0-9]+", rule.where)), f"no place: {rule.where}")
    claim(rule.method is not Method.PEER or rule.transport == (Transport.LOCAL,), "peer over a network")
    claim(rule.method is not Method.CERT or rule.transport == (Transport.HOSTSSL,), "a certificate without TLS")
    claim(not (rule.networks and Transport.LOCAL in rule.transport), "a local line with an address")
    for name in (*rule.databases, *rule.users):
        name.text.encode()
        claim("\0" not in name.text, "a NUL in a name")
        claim(bool(name.text) or name.kind is not NameKind.REGEX, "a regular expression that says nothing")
