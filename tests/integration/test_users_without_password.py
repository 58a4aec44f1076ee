"""A user whom auth_file lists without a password: not let in by one, and no trouble for anybody else."""

import psycopg
import pytest

from tests.kit.fix_logins import GuardedPooler


@pytest.mark.parametrize("auth_type", ["scram-sha-256", "md5", "plain"])
@pytest.mark.parametrize("password", ["", "s3cret"])
def test_no_password_fits(guarded: GuardedPooler, auth_type: str, password: str) -> None:
    userlist = guarded.folder / "userlist.txt"
    userlist.write_text('"bob" ""\n')
    del guarded.users["bob"]
    guarded.run_with(auth_type=auth_type, auth_file=str(userlist))
    assert guarded.value("SELECT current_user") == "alice"
    with pytest.raises(psycopg.OperationalError, match="password"):
        guarded.connect(user="bob", password=password)


@pytest.mark.parametrize("auth_type", ["scram-sha-256", "md5", "plain"])
def test_nor_is_auth_query_asked(guarded: GuardedPooler, auth_type: str) -> None:
    """As in PgBouncer, an empty secret shuts a user out whom auth_query would let in; settings in [users] do not."""
    userlist = guarded.folder / "userlist.txt"
    userlist.write_text('"bob" ""\n')
    del guarded.users["bob"]
    guarded.users["carol"] = {"pool_size": 2}
    guarded.run_with(auth_type=auth_type, auth_file=str(userlist), auth_user="alice", auth_query="SELECT $1, 'sesame'")
    assert guarded.value("SELECT current_user", user="carol", password="sesame") == "carol"
    with pytest.raises(psycopg.OperationalError, match='password authentication failed for user "bob"'):
        guarded.connect(user="bob", password="sesame")


def test_the_user_can_log_in_otherwise(guarded: GuardedPooler) -> None:
    userlist = guarded.folder / "userlist.txt"
    userlist.write_text('"bob" ""\n')
    del guarded.users["bob"]
    guarded.use_hba("host all bob all trust\nhost all all all scram-sha-256\n")
    guarded.run_with(auth_file=str(userlist))
    assert guarded.value("SELECT current_user", user="bob", dbname="app") == "bob"
