"""The process's limit of open files: each client and each server connection is one."""

import resource


def raise_file_limit() -> int:
    """Raise the soft limit to the hard one, which needs no privilege; the limit now in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def expected(clients: int, servers: int) -> int:
    """How many the settings allow to be open at once."""
    own = 100  # listening sockets, epoll, the log, lookups
    return clients + servers + own


def shortage(limit: int, clients: int, servers: int) -> str:
    """A sentence when the limit cannot hold the connections that the settings allow, else ""."""
    needed = expected(clients, servers)
    if limit == resource.RLIM_INFINITY or needed <= limit:
        return ""
    return (
        f"the limit of open files is {limit:,}, and max_client_conn = {clients:,} may need {needed:,}; "
        "raise it (ulimit -n, LimitNOFILE=) or lower max_client_conn"
    )
