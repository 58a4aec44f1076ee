"""Compile relay.pyx below bench/.build, when it changed."""

import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType

from bench.places import BUILD

SOURCE = Path(__file__).with_name("relay.pyx")
#: The release flavour's flags of setup.py, so that the yardstick is compiled like the product.
FLAGS = ["-std=gnu11", "-O2", "-DNDEBUG", "-fno-strict-aliasing"]


def compiled() -> Path:
    """The extension module's file, compiled now if the source is newer."""
    place = BUILD / "bare_relay"
    module = place / f"relay{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not module.exists() or module.stat().st_mtime < SOURCE.stat().st_mtime:
        _compile(place)
    return module


def _compile(place: Path) -> None:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    extension = Extension("relay", [str(SOURCE)], extra_compile_args=FLAGS)
    modules = cythonize([extension], build_dir=str(place), quiet=True)  # type: ignore[no-untyped-call]
    distribution = Distribution({"name": "relay", "ext_modules": modules})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(place), str(place / "temp")
    distribution.run_command("build_ext")


def load() -> ModuleType:
    """The compiled module."""
    spec = importlib.util.spec_from_file_location("relay", compiled())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
