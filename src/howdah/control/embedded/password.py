"""The superuser's password: made once, kept beside the data for its owner alone, and set in the server."""

import os
import secrets
from pathlib import Path

from howdah.control.config.errors import StartError
from howdah.control.embedded.place import Place

_BYTES = 18


def known_password(place: Place) -> str:
    """The one of an earlier run; "" when there is none yet."""
    try:
        return place.password.read_text().strip()
    except FileNotFoundError:
        return ""


async def give_password(place: Place, user: str, port: int) -> str:
    """Make one, set it in the running server, then keep it: a file that is there is true."""
    import psycopg
    from psycopg import sql

    password = secrets.token_urlsafe(_BYTES)
    try:
        async with await psycopg.AsyncConnection.connect(
            host=str(place.socket_dir), port=port, user=user, dbname="postgres", autocommit=True, connect_timeout=10
        ) as connection:
            # Only the verifier goes to the server, so that no log of statements ever holds the password.
            verifier = connection.pgconn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256")
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(user), verifier.decode())
            await connection.execute(statement)
    except psycopg.Error as failure:
        raise StartError(f"embedded PostgreSQL: cannot set the password of {user}: {failure}") from failure
    _keep(place, password)
    return password


def _keep(place: Place, password: str) -> None:
    unfinished = Path(f"{place.password}.new")
    unfinished.unlink(missing_ok=True)
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(f"{password}\n")
    place.own(unfinished)
    unfinished.rename(place.password)
