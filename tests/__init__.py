"""The tests of howdah; what they stand on is in `tests.kit`."""
