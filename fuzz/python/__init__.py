"""Fuzz targets for parsers in Python: `check` reads any bytes and claims what must hold whatever they were.

A claim that does not hold is an AssertionError, and any other exception is as bad.  libFuzzer drives them by the same
driver as the compiled ones (fuzz/driver.c), and tests hold them against random and structured input.  What is no target
has no seeds in fuzz/corpus: `written`, which writes down what was read, and `claims`.
"""
