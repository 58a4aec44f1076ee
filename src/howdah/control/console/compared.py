"""How the console's commands stand to PgBouncer's, for docs/reference/console.md; SHOW's tables say it themselves."""

#: Command, "same", "extended" or "different", and what is to be said about it.
COMPARED: tuple[tuple[str, str, str], ...] = (
    ("SHOW HELP", "extended", "A notice with PgBouncer's words and howdah's own."),
    ("SELECT <table>", "same", "The same as SHOW."),
    ("SELECT ... FROM ...", "howdah's own", "Read-only SQL over the tables of SHOW."),
    (
        "SET name = value",
        "extended",
        "Refuses what only a restart can change, where PgBouncer says yes and changes nothing, and says what is wrong.",
    ),
    ("RELOAD", "extended", "Tells what has changed, and refuses a configuration with faults whole."),
    ("PAUSE [db]", "same", "Answers when PostgreSQL has closed its side of the last connection."),
    ("RESUME [db]", "same", "Undoes PAUSE, KILL and SUSPEND."),
    ("RECONNECT [db]", "same", "Servers make way for new ones when they are released."),
    ("WAIT_CLOSE [db]", "same", "Answers when PostgreSQL has closed its side of those."),
    ("KILL [db]", "extended", "Without a database, all of them. What servers run is cancelled and rolled back."),
    ("KILL_CLIENT id", "same", "The id of SHOW CLIENTS."),
    ("DISABLE db, ENABLE db", "same", "New clients are refused, or let in again."),
    ("SUSPEND", "same", "Ends by RESUME, or when the last admin has left."),
    ("SHUTDOWN", "same", "At once; with WAIT_FOR_SERVERS or WAIT_FOR_CLIENTS when these are over."),
)
