"""Build of the compiled half.  Everything else about the package is in pyproject.toml.

``HOWDAH_BUILD`` picks the flavour:

- ``release`` (default): optimised, no checks that a correct program does not need;
- ``debug``: every Cython check, C assertions and exact counts of what is made and freed;
- ``sanitize``: debug, under AddressSanitizer and UndefinedBehaviorSanitizer;
- ``fuzz``: sanitize, with clang's coverage hooks for libFuzzer;
- ``thread``: debug, under ThreadSanitizer.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SRC = Path("src")
FLAVOUR = os.environ.get("HOWDAH_BUILD", "release")
COMMON = ["-std=gnu11", "-fno-strict-aliasing", "-fvisibility=hidden", "-g", "-Wno-unreachable-code"]
SANITIZE = [
    "-O1",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
]
COMPILE = {
    "release": ["-O2", "-DNDEBUG"],
    "debug": ["-O1", "-UNDEBUG", "-DHOWDAH_DEBUG=1"],
    "sanitize": [*SANITIZE, "-UNDEBUG", "-DHOWDAH_DEBUG=1"],
    "fuzz": [*SANITIZE, "-fsanitize=fuzzer-no-link", "-UNDEBUG", "-DHOWDAH_DEBUG=1"],
    "thread": ["-O1", "-fsanitize=thread", "-UNDEBUG", "-DHOWDAH_DEBUG=1"],
}
if FLAVOUR not in COMPILE:
    raise SystemExit(f"HOWDAH_BUILD={FLAVOUR}: unknown flavour; known are {', '.join(COMPILE)}")
LINK = [flag for flag in COMPILE[FLAVOUR] if flag.startswith("-fsanitize")]
CHECKED = FLAVOUR != "release"
DIRECTIVES = {
    "language_level": 3,
    "binding": False,
    "boundscheck": CHECKED,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": CHECKED,
    "overflowcheck": False,
}


def extension(source: Path, package_root: Path) -> Extension:
    """One module for one .pyx file; the name follows from the path."""
    name = ".".join(source.with_suffix("").relative_to(package_root).parts)
    return Extension(
        name,
        [str(source)],
        extra_compile_args=[*COMMON, *COMPILE[FLAVOUR]],
        extra_link_args=LINK,
        libraries=["pthread"],
    )


class ParallelBuild(build_ext):
    """Compile the modules side by side: each is a C file of its own."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()


setup(
    ext_modules=cythonize(
        [extension(path, SRC) for path in sorted(SRC.rglob("*.pyx"))],
        include_path=[str(SRC)],
        build_dir=f"build/cython-{FLAVOUR}",
        compiler_directives=DIRECTIVES,
        nthreads=0,
        show_all_warnings=False,
    ),
    cmdclass={"build_ext": ParallelBuild},
)
