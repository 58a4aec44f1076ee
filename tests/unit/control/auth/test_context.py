"""The desk's context: whom a configuration says to ask, for each database and rule."""

import importlib.util
from collections.abc import Mapping

import pytest

from howdah.control.auth import context as context_module
from howdah.control.auth.access import Access
from howdah.control.auth.context import AuthContext, LookupSource, Problem, auth_context
from howdah.control.auth.hba import read_hba, rules_of_auth_type
from howdah.control.auth.ldap import LdapSource
from howdah.control.auth.pam import PamService
from howdah.control.auth.secrets import parse_secret
from howdah.control.config.schema import Config, DatabaseSettings, GlobalSettings
from howdah.control.intake import Intake
from howdah.control.plan import build_plan
from howdah.control.tls_files import TlsPlans
from howdah.dataplane.plan import Address, DatabasePlan, PoolMode, TlsPlan

DEFAULT_QUERY = GlobalSettings().auth_query


def database(name: str, *addresses: Address) -> DatabasePlan:
    return DatabasePlan(
        name=name, dbname=None, host="", port=5432, addresses=addresses, resolve_error="", force_user=None, pool_size=1,
        min_pool_size=0, reserve_pool_size=0, pool_mode=PoolMode.TRANSACTION, max_db_connections=0,
        server_lifetime_us=0, startup_parameters=(),
    )  # fmt: skip


def make(
    access: Access | None = None, databases: Mapping[str, Mapping[str, object]] | None = None, **settings: object
) -> AuthContext:
    entries = {
        name: DatabaseSettings.model_validate({"host": "192.0.2.1", **keys})
        for name, keys in (databases or {"app": {}}).items()
    }
    config = Config(settings=GlobalSettings.model_validate(settings), databases=entries)
    intake = Intake(access or Access(), TlsPlans(TlsPlan(), TlsPlan()))
    return auth_context(config, intake.access, build_plan(config, intake, {}, 1))


def source(context: AuthContext, name: str) -> LookupSource:
    found = context.lookup_source(name)
    assert isinstance(found, LookupSource), found
    return found


def test_without_auth_user_nobody_is_asked() -> None:
    assert make().lookup_source("app") is None


def test_auth_user_asks_in_the_database_itself() -> None:
    found = source(make(auth_user="looker"), "app")
    assert (found.user, found.place.dbname, found.query, found.password) == ("looker", "app", DEFAULT_QUERY, None)
    assert found.place.addresses[0].text == "192.0.2.1:5432"


def test_auth_user_asks_in_auth_dbname() -> None:
    context = make(databases={"app": {}, "users": {"host": "192.0.2.2", "dbname": "people"}}, auth_user="looker",
                   auth_dbname="users")  # fmt: skip
    for name in ("app", "users", "pgbouncer"):
        assert source(context, name).place.dbname == "people"
    assert source(context, "app").place.addresses[0].text == "192.0.2.2:5432"


def test_a_database_has_its_own_ways() -> None:
    own = {"auth_user": "own", "auth_query": "SELECT $1, 'x'", "auth_dbname": "other"}
    context = make(databases={"app": own, "other": {}}, auth_user="looker", auth_query="SELECT $1, 'y'")
    found = source(context, "app")
    assert (found.user, found.query, found.place.dbname) == ("own", "SELECT $1, 'x'", "other")
    assert source(context, "other").user == "looker"


def test_the_star_stands_for_all_other_names() -> None:
    context = make(databases={"app": {}, "*": {"host": "192.0.2.9"}}, auth_user="looker")
    assert source(context, "anything").place.dbname == "anything"
    assert source(context, "anything").place.addresses[0].text == "192.0.2.9:5432"
    assert make(auth_user="looker").lookup_source("anything") is None


def test_the_console_is_asked_about_in_auth_dbname_alone() -> None:
    assert make(databases={"*": {}}, auth_user="looker").lookup_source("pgbouncer") is None
    assert source(make(auth_user="looker", auth_dbname="app"), "pgbouncer").place.dbname == "app"


def test_the_password_is_that_of_the_user_lists_if_it_is_a_plain_one() -> None:
    def password(secret: str) -> bytes | None:
        return source(make(Access(secrets={"looker": parse_secret(secret)}), auth_user="looker"), "app").password

    assert password("plain") == b"plain"
    assert password("md5" + "a" * 32) is None


def test_an_entrys_password_is_its_users() -> None:
    entries = {"app": {"user": "looker", "password": "of app"}, "other": {"user": "else", "password": "of other"}}
    context = make(Access(secrets={"looker": parse_secret("list")}), entries, auth_user="looker")
    assert source(context, "app").password == b"of app"
    assert source(context, "other").password == b"list"


def test_a_host_that_cannot_be_resolved_is_told() -> None:
    context = make(databases={"app": {"host": "db.example.com"}}, auth_user="looker")
    found = context.lookup_source("app")
    assert isinstance(found, Problem) and "db.example.com" in found.text


def test_an_auth_dbname_that_is_not_there_is_a_problem() -> None:
    context = make(auth_user="looker", auth_dbname="nowhere")
    assert isinstance(context.lookup_source("app"), Problem)
    assert any("'nowhere'" in text for text in context.problems)


def test_rules_say_whom_to_ask() -> None:
    lines = (
        "host a all all ldap ldapserver=x ldapprefix=uid=\n"
        "host b all all pam pamservice=special\nhost c all all pam\nhost d all all md5\n"
    )
    access = Access(lines=read_hba("hba", lines, lambda _: "").lines)
    context = make(access, auth_type="hba", auth_hba_file="hba", auth_pam_service="ours")
    ldap, special, ours, nobody = context.rules
    assert isinstance(ldap, LdapSource) and ldap.prefix == "uid="
    assert (special, ours, nobody) == (PamService("special"), PamService("ours"), None)


def test_what_is_not_installed_is_a_problem_of_its_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(context_module, "pam_is_there", lambda: False)
    ldap = make(Access(lines=rules_of_auth_type("ldap", "ldapserver=x ldapprefix=uid=")))
    assert "pip install 'howdah[ldap]'" in ldap.problems[0] and ldap.problems[0].startswith("auth_type: ")
    pam = make(Access(lines=rules_of_auth_type("pam", "")))
    assert isinstance(pam.rules[0], Problem) and "libpam" in pam.problems[0]


def test_limits_are_the_settings() -> None:
    context = make(auth_queue=7, auth_threads=3, auth_cache_ttl=4, server_login_retry=5, server_idle_timeout=6,
                   client_login_timeout=8, server_connect_timeout=9)  # fmt: skip
    assert (context.queue, context.threads, context.cache_s, context.retry_s, context.idle_s) == (7, 3, 4, 5, 6)
    assert context.answer_s == pytest.approx(7.2)
    assert context.place.timeout_s == 9
    assert 0 < make(client_login_timeout=0).answer_s <= context_module.LONGEST_S


def test_passwords_do_not_show_in_what_is_printed() -> None:
    context = make(Access(secrets={"looker": parse_secret("hush")}), auth_user="looker")
    assert "hush" not in repr(context) and "hush" not in repr(source(context, "app"))
