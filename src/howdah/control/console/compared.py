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
)
