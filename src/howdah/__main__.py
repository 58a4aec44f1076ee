"""``python -m howdah`` is the command ``howdah``."""

from howdah.cli import main

main()
