"""SASLprep (RFC 4013): the form of a password that SCRAM hashes, as PostgreSQL does it."""


def prepare(password: bytes) -> bytes:
    """`password` prepared; as it is where it is not UTF-8 or SASLprep refuses it, like PostgreSQL."""
    raise NotImplementedError
