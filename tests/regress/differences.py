"""The tests whose output differs through howdah, and why."""

SHARED_STATEMENTS = "pg_prepared_statements shows what the server has, by howdah's names and for all its clients"

DIFFERENCES: dict[str, str] = {
    "guc": f"{SHARED_STATEMENTS}; and PL/pgSQL, which the test loads, may be loaded in the server already",
    "partition_prune": "a function runs EXECUTE of a statement that its caller has prepared: the name is in no text",
    "plancache": f"EXECUTE prepares anew where tables have changed since, in place of an error; {SHARED_STATEMENTS}",
    "prepare": SHARED_STATEMENTS,
    "stats": "it counts the sessions that its own connecting adds; here it adds none",
    "sysviews": SHARED_STATEMENTS,
    "triggers": "contrib's refint makes a plan once a session, for whatever statement it sees first there",
    "temp": "the server has had a temporary schema before, so that the transaction does not make it",
}
