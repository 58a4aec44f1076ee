"""Build of the compiled half.  Everything else about the package is in pyproject.toml.

``HOWDAH_BUILD`` picks the flavour:

- ``release`` (default): optimised, no checks that a correct program does not need;
- ``debug``: every Cython check, C assertions and exact counts of what is made and freed;
- ``sanitize``: debug, under AddressSanitizer and UndefinedBehaviorSanitizer;
- ``fuzz``: sanitize, with clang's coverage hooks for libFuzzer;
- ``thread``: debug, under ThreadSanitizer;
- ``none``: leave the compiled half alone (``tools/bootstrap.py`` installs, ``tools/build.py`` builds).

All but release also build the doors that tests and fuzzing need: ``tests/probe`` as package ``howdah_probe`` and
``fuzz/targets`` as ``howdah_fuzz``.  See CONTRIBUTING.md for the commands.
"""

import multiprocessing
import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

FLAVOUR = os.environ.get("HOWDAH_BUILD", "release")
COMMON = [
    "-std=gnu11",
    "-fno-strict-aliasing",
    "-fvisibility=hidden",
    "-g",
    "-Wall",
    "-Wno-unreachable-code",
    "-Wno-unused-function",
    "-Wno-unknown-warning-option",  # of clang, about the next one, which is gcc's
    "-Wno-format-truncation",  # addresses are cut to fit on purpose
]
CHECKS = ["-UNDEBUG", "-DHOWDAH_DEBUG=1"]
ADDRESS = ["-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
COMPILE = {
    "none": [],
    "release": ["-O2", "-DNDEBUG"],
    "debug": ["-O1", *CHECKS],
    "sanitize": [*ADDRESS, *CHECKS],
    "fuzz": [*ADDRESS, "-fsanitize=fuzzer-no-link", *CHECKS],
    "thread": ["-O1", "-fno-omit-frame-pointer", "-fsanitize=thread", *CHECKS],
}
if FLAVOUR not in COMPILE:
    raise SystemExit(f"HOWDAH_BUILD={FLAVOUR}: unknown flavour; known are {', '.join(COMPILE)}")
LINK = [flag for flag in COMPILE[FLAVOUR] if flag.startswith("-fsanitize")]
CHECKED = FLAVOUR != "release"

#: Folder of sources and the package it becomes.
PACKAGES = [(Path("src/howdah"), "howdah")]
if CHECKED:
    PACKAGES += [(Path("tests/probe"), "howdah_probe"), (Path("fuzz/targets"), "howdah_fuzz")]

DIRECTIVES = {
    "language_level": 3,
    "binding": False,
    "boundscheck": CHECKED,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": CHECKED,
    "overflowcheck": False,
}


def extensions(folder: Path, package: str) -> list[Extension]:
    """One module for one .pyx file; the name follows from the path."""
    return [
        Extension(
            ".".join((package, *source.relative_to(folder).with_suffix("").parts)),
            [str(source)],
            include_dirs=["fuzz"],
            extra_compile_args=[*COMMON, *COMPILE[FLAVOUR]],
            extra_link_args=LINK,
            libraries=["pthread", "ssl", "crypto"],
        )
        for source in sorted(folder.rglob("*.pyx"))
    ]


def processes() -> int:
    """How many processes Cython may start; none where the system has no shared semaphores (some sandboxes)."""
    try:
        multiprocessing.Lock()
    except OSError:
        return 0
    return os.cpu_count() or 1


def compiled() -> list[Extension]:
    if FLAVOUR == "none":
        return []
    modules: list[Extension] = cythonize(
        [extension for folder, package in PACKAGES for extension in extensions(folder, package)],
        include_path=["src"],
        build_dir=f"build/cython-{'checked' if CHECKED else 'release'}",  # all that check are made of the same C
        compiler_directives=DIRECTIVES,
        emit_linenums=CHECKED,  # gdb and the sanitizers then show lines of the .pyx
        nthreads=processes(),
        quiet=True,
    )
    return modules


if __name__ == "__main__":  # cythonize starts processes, which may import this file
    # The modules are compiled side by side: each is a C file of its own.
    setup(ext_modules=compiled(), options={"build_ext": {"parallel": os.cpu_count()}})
