"""What is known of a user's password, read from the text that files and auth_query hold.

PostgreSQL's three forms: the password itself, `md5` and a hash, and a SCRAM-SHA-256 verifier.
"""

from howdah.dataplane.plan import Secret

#: The user exists and cannot log in by password: neither a password nor a hash of one.
NO_PASSWORD = Secret()


def parse_secret(text: str) -> Secret:
    """The secret that `text` writes down.  ValueError says, to people, why it is none."""
    raise NotImplementedError


def secret_of_lookup(value: str | None) -> Secret:
    """The secret in a row of auth_query; NULL is `NO_PASSWORD`.  ValueError as `parse_secret`."""
    raise NotImplementedError
