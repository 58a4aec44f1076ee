"""Configuration: what howdah is to do, read once, checked whole, frozen.

Use from the control plane::

    # howdah.control.supervisor.run: the exit status; `reread` reads the same sources again, for SIGHUP
    def run(config: Config, reread: Callable[[], Config] | None = None) -> int:

`howdah.control.config.load.read(Request(target, options))` makes a `Config` or raises a `ConfigError` with all faults.

- ``config.settings``: table [howdah] (`GlobalSettings`): ``config.settings.listen_port``.  Durations are seconds
  (float), ``tcp_user_timeout`` milliseconds, sizes bytes, ``unix_socket_mode`` the bits, lists are tuples.
- ``config.databases``, ``config.users``: by name, "*" is the fallback database.
- ``config.source``: where it came from, for people, never with a password.  ``config.path``: its file or None.
- ``config.embedded``: no database was named; start the embedded PostgreSQL, then use
  ``config.with_databases({"*": DatabaseSettings(host=(directory,), port=port)})``.
- ``config.warnings``: `Problem`s that are not fatal, to be logged: ``where``, ``key``, ``message``, ``advice``.
- ``config.sample_database``: the database to show in a connection string, or None.
- ``"listen_addr" in config.settings.model_fields_set``: whether it was set; an address of the *default* list that this
  machine does not have (::1 without IPv6) is to be passed over, one that was asked for is a `StartError`.
- `listen_addr` may hold host names ("localhost") and "*": use getaddrinfo.
  ``howdah.control.sockaddr.unix_socket_path(directory, port)`` gives what to bind for `unix_socket_dir` ("@" included).
- ``howdah.control.plan.build_plan(config, resolved, version)``: the data plane's plan;
  ``howdah.control.plan.host_names(config)`` are the names to resolve, ``resolved`` maps each to a `Resolved`
  (numeric addresses, or an error sentence).
- Whatever keeps howdah from starting is a `StartError` with one line for people; the command line prints it and exits
  with status 1.
"""

from howdah.control.config.errors import ConfigError, Problem, StartError
from howdah.control.config.schema import Config, DatabaseSettings, GlobalSettings, UserSettings

__all__ = [
    "Config",
    "ConfigError",
    "DatabaseSettings",
    "GlobalSettings",
    "Problem",
    "StartError",
    "UserSettings",
]
