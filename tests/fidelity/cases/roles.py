"""Who a client is: SET ROLE and SET SESSION AUTHORIZATION."""

from tests.fidelity.case import case, extended, other

_WHO = "SELECT current_user, session_user, current_setting('role')"

CASES = (
    case("set", "SET ROLE fidelity_reader", _WHO, "SELECT what FROM secret", "RESET ROLE", _WHO,
         "SELECT what FROM secret"),
    case("none", "SET ROLE fidelity_reader", "SET ROLE NONE", _WHO, _WHO),
    case("quoted", "SET ROLE \"Fidelity's \"\"Role\"\"\"", _WHO, "SELECT what FROM secret"),
    case("string", "SET SESSION ROLE 'fidelity_guest'", _WHO),
    case("set-config", "SELECT set_config('role', 'fidelity_reader', false)", _WHO, "SELECT what FROM secret"),
    case("local", "BEGIN; SET LOCAL ROLE fidelity_reader", "SELECT what FROM secret", "COMMIT", _WHO),
    case("rolled-back", "SET ROLE fidelity_guest", "BEGIN; SET ROLE fidelity_reader", _WHO, "ROLLBACK", _WHO),
    case("not-allowed", "SET ROLE postgres", "SET ROLE nobody_of_this_name", _WHO),
    case("two-clients", "SET ROLE fidelity_reader", other("SET ROLE fidelity_guest"), "SELECT what FROM secret",
         other("SELECT what FROM secret"), _WHO, other(_WHO), extended("SELECT what FROM secret")),
    case("reset-all-keeps-it", "SET ROLE fidelity_reader; SET work_mem = '7MB'", "RESET ALL", _WHO, "SHOW work_mem"),
    case("discard-all-ends-it", "SET ROLE fidelity_reader", "DISCARD ALL", _WHO),
    case("owner-of-what-is-made", "SET ROLE fidelity_guest", "CREATE TABLE scratch.t (x int)",
         "SELECT tableowner FROM pg_tables WHERE tablename = 't'", "RESET ROLE",
         "SELECT tableowner FROM pg_tables WHERE tablename = 't'"),
    case("with-other-settings", "SET work_mem = '7MB'; SET ROLE fidelity_reader", "SET app.tenant_id = 'east'", _WHO,
         "SHOW work_mem", "RESET ROLE", "SHOW app.tenant_id; SHOW work_mem"),
    case("session-authorization", "SET SESSION AUTHORIZATION fidelity_rider", _WHO, "SELECT what FROM secret",
         "RESET SESSION AUTHORIZATION", _WHO, "SELECT what FROM secret", user="postgres"),
    case("session-authorization-default", "SET SESSION AUTHORIZATION 'bob'", _WHO, "SET ROLE fidelity_rider",
         "SHOW is_superuser", "SET SESSION AUTHORIZATION DEFAULT", _WHO, user="postgres"),
    case("session-authorization-local", "BEGIN; SET LOCAL SESSION AUTHORIZATION fidelity_rider", _WHO, "COMMIT", _WHO,
         user="postgres"),
    case("session-authorization-and-role", "SET SESSION AUTHORIZATION fidelity_rider", "SET ROLE fidelity_reader", _WHO,
         "RESET ROLE", _WHO, "SHOW session_authorization", "RESET SESSION AUTHORIZATION", _WHO, user="postgres"),
    case("session-authorization-not-allowed", "SET SESSION AUTHORIZATION bob", _WHO,
         "SET SESSION AUTHORIZATION fidelity_rider", _WHO),
    case("superuser-or-not", "SHOW is_superuser", "SET ROLE fidelity_rider", "SHOW is_superuser", "RESET ROLE",
         "SHOW is_superuser", user="postgres"),
)  # fmt: skip
