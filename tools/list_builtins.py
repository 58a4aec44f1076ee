"""Write src/howdah/sql/builtins.py from PostgreSQL's own catalogs: ``python -m tools.list_builtins FOLDER...``.

Each FOLDER holds the `initdb` and `postgres` of one version; without any, it is the embedded one alone.  What one
version knows as harmless and another does not is not harmless; what is in only one of them is as it is there.
"""

import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.kit.postgres import Postgres, embedded_binaries

TARGET = Path(__file__).resolve().parent.parent / "src" / "howdah" / "sql" / "builtins.py"

FUNCTIONS = """
SELECT proname, bool_and(provolatile <> 'v')
FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384
    AND prorettype <> ALL ('{internal,cstring,trigger,event_trigger,language_handler,index_am_handler,
        table_am_handler,fdw_handler}'::regtype[])
    AND NOT proargtypes::oid[] && '{internal,cstring}'::regtype[]::oid[]
GROUP BY proname HAVING proname = lower(proname)
"""
KEYWORDS = "SELECT word, catcode::text FROM pg_get_keywords()"

#: Volatile, but only for what they tell, or for what they do to others, to the database or in the transaction.
HARMLESS_VOLATILE = frozenset(
    """
    array_sample array_shuffle bernoulli clock_timestamp current_query currtid2 gen_random_uuid pg_advisory_xact_lock
    pg_advisory_xact_lock_shared pg_blocking_pids pg_cancel_backend pg_collation_actual_version pg_control_checkpoint
    pg_control_init pg_control_recovery pg_control_system pg_create_restore_point pg_current_logfile
    pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn pg_database_collation_actual_version
    pg_database_size pg_export_snapshot pg_get_backend_memory_contexts pg_get_shmem_allocations pg_get_wait_events
    pg_hba_file_rules pg_ident_file_mappings pg_indexes_size pg_is_in_recovery pg_is_wal_replay_paused
    pg_isolation_test_session_is_blocked pg_jit_available pg_last_committed_xact pg_last_wal_receive_lsn
    pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_lock_status pg_log_backend_memory_contexts
    pg_logical_emit_message pg_ls_dir pg_ls_logdir pg_ls_tmpdir pg_ls_waldir pg_notification_queue_usage pg_notify
    pg_partition_ancestors pg_partition_tree pg_prepared_xact pg_promote pg_read_binary_file pg_read_file
    pg_relation_size pg_reload_conf pg_rotate_logfile pg_safe_snapshot_blocking_pids pg_show_all_file_settings
    pg_sleep pg_sleep_for pg_sleep_until pg_stat_clear_snapshot pg_stat_file pg_stat_force_next_flush
    pg_stat_get_backend_io pg_stat_get_backend_wal pg_stat_get_io pg_stat_get_recovery_prefetch
    pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls
    pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans
    pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated
    pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_returned
    pg_stat_get_xact_tuples_updated pg_stat_have_stats pg_stat_reset pg_stat_reset_shared pg_switch_wal pg_table_size
    pg_tablespace_size pg_terminate_backend pg_total_relation_size pg_try_advisory_xact_lock
    pg_try_advisory_xact_lock_shared pg_wal_replay_pause pg_wal_replay_resume pg_xact_commit_timestamp pg_xact_status
    random random_normal system timeofday txid_status uuidv4 uuidv7

    lo_close lo_creat lo_create lo_export lo_from_bytea lo_get lo_import lo_lseek lo_lseek64 lo_open lo_put lo_tell
    lo_tell64 lo_truncate lo_truncate64 lo_unlink loread lowrite
    """.split()  # descriptors of large objects end with the transaction
)
#: Not volatile, but they read whatever they are told to, views with it; load a library; or tell of the session.
HARMFUL_STABLE = frozenset(
    """
    database_to_xml database_to_xml_and_xmlschema database_to_xmlschema fmgr_c_validator fmgr_internal_validator
    fmgr_sql_validator pg_listening_channels schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema table_to_xml
    table_to_xml_and_xmlschema table_to_xmlschema
    """.split()
)


@dataclass(frozen=True, slots=True)
class Builtins:
    """What one or more versions have built in."""

    harmless: frozenset[str]  # functions
    harmful: frozenset[str]  # other functions
    reserved: frozenset[str]  # keywords that no function is called by, unless in quotes or behind a schema
    keywords: frozenset[str]  # the others


def is_harmless(name: str, keeps: bool) -> bool:
    """`keeps`: PostgreSQL says of all functions of that name that they change nothing."""
    return name in HARMLESS_VOLATILE or (keeps and name not in HARMFUL_STABLE)


def builtins(postgres: Postgres) -> Builtins:
    functions = dict(postgres.sql(FUNCTIONS))
    categories = dict(postgres.sql(KEYWORDS))
    harmless = frozenset(name for name, keeps in functions.items() if is_harmless(name, keeps))
    reserved = frozenset(word for word, category in categories.items() if category in {"R", "C"})
    return Builtins(harmless, frozenset(functions) - harmless, reserved, frozenset(categories) - reserved)


def together(versions: Iterable[Builtins]) -> Builtins:
    found = list(versions)
    harmful = frozenset[str]().union(*(one.harmful for one in found))
    reserved = frozenset[str]().union(*(one.reserved for one in found))
    return Builtins(
        frozenset[str]().union(*(one.harmless for one in found)) - harmful,
        harmful,
        reserved,
        frozenset[str]().union(*(one.keywords for one in found)) - reserved,
    )


def written(name: str, meaning: str, words: frozenset[str]) -> str:
    lines = textwrap.fill(" ".join(sorted(words)), 116, initial_indent="    ", subsequent_indent="    ")
    return f'\n#: {meaning}\n{name} = frozenset(\n    """\n{lines}\n    """.split()\n)\n'


def module(found: Builtins) -> str:
    return (
        '"""What PostgreSQL has built in.  Written by tools/list_builtins.py, which has the rules: do not edit."""\n'
        + written("HARMLESS", "Functions of pg_catalog that leave the session as it is.", found.harmless)
        + written("RESERVED", "Keywords that no function is called by: in front of a bracket they call none.",
                  found.reserved)
        + written("KEYWORDS", "All other keywords.", found.keywords)
    )  # fmt: skip


def look(binaries: Path) -> Builtins:
    postgres = Postgres(binaries)
    try:
        return builtins(postgres.create())
    finally:
        postgres.remove()


if __name__ == "__main__":
    folders = [Path(argument) for argument in sys.argv[1:]] or [embedded_binaries()]
    TARGET.write_text(module(together(look(folder) for folder in folders)))
