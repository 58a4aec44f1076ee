"""What a user of the console may do.  The data plane has let nobody in who may not at least look."""

from howdah.control.config.names import CONSOLE
from howdah.control.config.schema import Config


def may_change(config: Config, user: str, over_unix_socket: bool) -> bool:
    """More than look: by the settings as they are now, whatever they were when the user came in."""
    settings = config.settings
    if user in settings.admin_users:
        return True
    if config.console_for_all:
        return True
    # Named or not, who runs howdah comes in over the Unix socket by this name.
    return user == CONSOLE and over_unix_socket and user not in settings.stats_users
