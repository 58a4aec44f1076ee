"""Coverage-guided fuzzing: ``python tools/fuzz.py [SECONDS] [TARGET...]``.

Builds the driver (fuzz/driver.c) when it is older than its source and gives every target of fuzz/targets (compiled) and
fuzz/python an equal share of the time.  Starts from the seeds in fuzz/corpus/TARGET; what libFuzzer finds on the way is
kept in build/fuzz/corpus/TARGET, and an input that breaks something in build/fuzz/broken/TARGET-*, ready to become a
seed and a test.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "build" / "fuzz"
DRIVER = HERE / "driver"
SOURCE = ROOT / "fuzz" / "driver.c"
COMPILED = ROOT / "fuzz" / "targets"
IN_PYTHON = ROOT / "fuzz" / "python"


def targets() -> list[str]:
    """A module of fuzz/python is a target when it has a folder of seeds."""
    in_python = (path.stem for path in IN_PYTHON.glob("*.py") if (ROOT / "fuzz" / "corpus" / path.stem).exists())
    return sorted([*(path.stem for path in COMPILED.glob("*.pyx")), *in_python])


def config(name: str) -> str:
    return str(sysconfig.get_config_var(name) or "")


def build_driver() -> None:
    if DRIVER.exists() and DRIVER.stat().st_mtime > SOURCE.stat().st_mtime:
        return
    library = f"-lpython{config('LDVERSION')}"
    command = ["clang", "-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-rdynamic", str(SOURCE), "-o", str(DRIVER)]
    command += [f"-I{sysconfig.get_path('include')}"]
    command += [f"-L{config('LIBDIR')}", f"-L{config('LIBPL')}", f"-Wl,-rpath,{config('LIBDIR')}", library]
    command += shlex.split(f"{config('LIBS')} {config('SYSLIBS')} {config('LINKFORSHARED')}")
    subprocess.run(command, check=True)


def fuzz(target: str, seconds: int) -> int:
    found = HERE / "corpus" / target
    broken = HERE / "broken"
    for folder in (found, broken):
        folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "HOWDAH_FUZZ_TARGET": target,
        "HOWDAH_FUZZ_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(HERE / "lib"), str(ROOT)]),
        "PYTHONMALLOC": "malloc",
        # No leak detection: CPython leaves its own objects behind, and targets allocate nothing.
        "ASAN_OPTIONS": "detect_leaks=0:quarantine_size_mb=32",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }
    command = [str(DRIVER), str(found), str(ROOT / "fuzz" / "corpus" / target)]
    if (IN_PYTHON / f"{target}.py").exists():
        # Python's own allocator: there is nothing for AddressSanitizer to find, and it is twice as fast.
        environment |= {"HOWDAH_FUZZ_IN_PYTHON": "1", "PYTHONMALLOC": "pymalloc"}
        # No values compared: those would be Python's own pointers and sizes.  Strings compared are seen all the same.
        command += ["-use_value_profile=0", "-detect_leaks=0"]
    else:
        command += ["-use_value_profile=1"]
    command += [
        f"-max_total_time={seconds}",
        "-timeout=10",
        "-max_len=20000",
        "-len_control=50",
    ]
    command += [f"-artifact_prefix={broken / target}-", "-print_final_stats=1", "-verbosity=0"]
    print(f"== fuzzing {target} for {seconds} s", flush=True)
    return subprocess.run(command, env=environment, check=False).returncode


def main(arguments: list[str]) -> int:
    seconds = int(arguments[0]) if arguments else 60
    chosen = arguments[1:] or targets()
    build_driver()
    failed = [target for target in chosen if fuzz(target, max(1, seconds // len(chosen)))]
    if failed:
        print(f"fuzzing found something in: {', '.join(failed)}; see {HERE / 'broken'}")
        return 1
    print("fuzzing found nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
