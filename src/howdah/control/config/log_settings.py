"""Settings of [howdah] about where the log goes, what is in it, and the process's place in the system."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from howdah.control.config.table import Table, setting
from howdah.control.config.units import File, Kind, Seconds, Switch, Text, between, count, one_of

FACILITIES = (
    "auth authpriv cron daemon ftp kern local0 local1 local2 local3 local4 local5 local6 local7 lpr mail news syslog "
    "user uucp"
).split()

Facility = Annotated[str, BeforeValidator(one_of(*FACILITIES)), Kind(f"one of {', '.join(FACILITIES)}")]
Verbosity = Annotated[int, BeforeValidator(count), AfterValidator(between(0, 3)), Kind("0 to 3")]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    BeforeValidator(one_of("debug", "info", "warning", "error")),
    Kind("one of debug, info, warning, error"),
]
LogFormat = Annotated[Literal["text", "json"], BeforeValidator(one_of("text", "json")), Kind("one of text, json")]


class LogSettings(Table):
    """The log."""

    log_level: LogLevel = setting("info", "Least severe log lines to write.")
    verbose: Verbosity = setting(0, "From 1 on the same as `log_level = debug`.")
    log_format: LogFormat = setting("text", "Log lines for people, or one JSON object a line.", restart=True)
    logfile: File = setting(
        "",
        "File that log lines are appended to, besides the terminal. Opened anew on SIGHUP, so that it can be rotated. "
        "What cannot be written (a full disk) is lost.",
    )
    syslog: Switch = setting(False, "Send log lines to the system's log, too.")
    syslog_facility: Facility = setting("daemon", "What the system's log takes howdah's lines for.")
    syslog_ident: Text = setting("howdah", "What the system's log calls howdah. PgBouncer's default is pgbouncer.")
    log_connections: Switch = setting(False, "Log each client that logs in. PgBouncer's default is on.")
    log_disconnections: Switch = setting(
        False, "Log each client that leaves, with the reason. PgBouncer's default is on."
    )
    log_pooler_errors: Switch = setting(True, "Log the errors that howdah itself sends to clients.")
    log_stats: Switch = setting(
        False, "Log averages of all databases together, every `stats_period`. PgBouncer's default is on."
    )
    stats_period: Seconds = setting(60.0, "Time over which the averages of SHOW STATS are taken.")


class SystemSettings(Table):
    """The process, as the system sees it."""

    pidfile: File = setting(
        "",
        "File that holds the process id while howdah runs. Where it names a process that is alive, howdah does not "
        "start. Empty: none.",
        restart=True,
    )
    user: Text = setting(
        "",
        "User of the operating system to become once the sockets are open; howdah must be started as root for that. "
        "Empty: stay who started it.",
        restart=True,
    )
    conffile: Text = setting("", "Has no effect: the file is the one that howdah was started with.")
    job_name: Text = setting("", "Has no effect: a name for Windows services.")
    service_name: Text = setting("", "Has no effect: a name for Windows services.")
