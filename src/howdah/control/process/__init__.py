"""The process as the system sees it: its user, its pid file, its place in the background, systemd."""
