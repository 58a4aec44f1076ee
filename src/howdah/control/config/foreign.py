"""Configurations of other poolers: told by their text, so that who brings one hears what can be done with it."""

import re
from collections.abc import Mapping

#: What only a file of this pooler has, at the beginning of a line.
_MARKS: Mapping[str, str] = {
    "PgCat": r"\[(general\.query_parser|pools\.[^\]]+|plugins\.[^\]]+)\]|(?:\[plugins\])|ban_time\s*=",
    "PgDog": r"\[\[(databases|users|mirroring|sharded_tables|plugins)\]\]|\[rewrite\]",
    "Odyssey": r"(storage|listen|database)\s+(\"[^\"]*\"\s*|default\s*)?\{|(workers|resolvers)\s+(\d+|\"auto\")\s*$",
    "Supavisor": r"import Config\b.*|config :supavisor\b|(export\s+)?(SUPAVISOR_\w+|VAULT_ENC_KEY)\s*=",
    "Pgpool-II": r"(backend_hostname\d+|backend_clustering_mode|pcp_port|num_init_children)\s*=",
}
_NEEDED: Mapping[str, str] = {"Supavisor": "supavisor"}
_PGBOUNCER = re.compile(r"^[ \t]*\[pgbouncer\]", re.MULTILINE)


def is_pgbouncer(path: str, text: str) -> bool:
    """By its name, else by its text: a howdah.toml has no section [pgbouncer] either, but is called one."""
    return path.endswith(".ini") or (not path.endswith(".toml") and bool(_PGBOUNCER.search(text)))


def pooler_of(text: str) -> str:
    """The pooler whose configuration this seems to be; "" for none that we know."""
    for name, marks in _MARKS.items():
        if re.search(rf"^[ \t]*(?:{marks})", text, re.MULTILINE) and _NEEDED.get(name, "") in text.lower():
            return name
    return ""


def advice_for(pooler: str) -> str:
    """What its user can do."""
    return (
        f"this is a configuration of {pooler}, which howdah cannot read; write a howdah.toml "
        "(deploy/howdah.toml has every setting), or start from a pgbouncer.ini, which 'howdah convert' can read"
    )
