"""Tests of the repository itself: layers, names, the written tour, links, the lock file."""
