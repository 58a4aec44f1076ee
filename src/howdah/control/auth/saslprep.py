"""SASLprep (RFC 4013): the form of a password that SCRAM hashes, so that ä is ä however it was typed.

Both sides of a login do this on their own, and libpq and PostgreSQL deviate from the RFC in small ways: what counts is
to come to the same bytes as they do, so their ways are followed here (src/common/saslprep.c).
"""

import re
import stringprep
import unicodedata

#: RFC 4013, 2.3, and unassigned in Unicode 3.2 (RFC 3454, table A.1).
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)
_ASCII = re.compile(rb"[\x01-\x7f]*")


def prepare(password: bytes) -> bytes:
    """`password` prepared; as it is where it is not UTF-8 or SASLprep refuses it, like PostgreSQL."""
    if _ASCII.fullmatch(password):  # control characters too: PostgreSQL does not look at ASCII
        return password
    try:
        mapped = _map(password.decode())
    except UnicodeDecodeError:
        return password
    if not mapped or any(refuses(character) for character in mapped for refuses in _PROHIBITED):
        return password
    if not _directions_fit(mapped):
        return password
    return unicodedata.normalize("NFKC", mapped).encode()


def _map(text: str) -> str:
    """Step 1: other spaces become spaces, what is not to be seen goes."""
    return "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if stringprep.in_table_c12(character) or not stringprep.in_table_b1(character)
    )


def _directions_fit(text: str) -> bool:
    """Step 4: right-to-left text begins and ends so, with nothing left-to-right in it.

    Asked of the text before normalization, and so is what is prohibited: PostgreSQL does both with its input.
    """
    if not any(map(stringprep.in_table_d1, text)):
        return True
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return ends and not any(map(stringprep.in_table_d2, text))
