"""What every reader of a file is held to."""

from collections.abc import Iterable, Mapping

from howdah.control.config.errors import Problem


def claim(holds: bool, what: str) -> None:
    """An assertion that no switch of Python turns off."""
    if not holds:
        raise AssertionError(what)


def decoded(data: bytes) -> str:
    """A file's text as the control plane decodes it."""
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def claim_named(problems: Iterable[Problem], files: Mapping[str, str]) -> None:
    """Each problem says in which line of which of `files` it is, and can be shown on a terminal."""
    for problem in problems:
        path, _, number = problem.where.partition(":")
        claim(path in files, f"a problem of a file that was not read: {problem.where}")
        claim(not number or 1 <= int(number) <= files[path].count("\n") + 1, f"there is no such line: {problem.where}")
        claim(str(problem).isprintable(), f"unprintable: {problem!r}")
        claim(bool(problem.message), "a problem without a word")


def usable(problems: Iterable[Problem]) -> bool:
    return not any(problem.fatal for problem in problems)
