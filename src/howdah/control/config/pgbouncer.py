"""PgBouncer's settings that cannot have an effect here: for a straight answer to its users."""

from collections.abc import Mapping

#: Why, in words that go on behind "this setting has no effect: ".
WITHOUT_EFFECT: Mapping[str, str] = {
    "conffile": "the file is the one that howdah was started with",
    "job_name": "it is for Windows",
    "pkt_buf": "all connections of a worker share one buffer",
    "sbuf_loopcnt": "each connection is read once before it is the next one's turn",
    "service_name": "it is for Windows",
    "track_extra_parameters": "all settings follow their client",
}
