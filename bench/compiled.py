"""Compiles yardsticks in Cython below bench/.build, with the release flavour's flags of setup.py."""

import importlib.util
import sysconfig
from pathlib import Path
from types import ModuleType

from bench.places import BUILD, ROOT

FLAGS = ["-std=gnu11", "-O2", "-DNDEBUG", "-fno-strict-aliasing"]


def compiled(source: Path) -> Path:
    """The extension module's file, compiled now if the source is newer."""
    place = BUILD / source.stem
    module = place / f"{source.stem}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not module.exists() or module.stat().st_mtime < source.stat().st_mtime:
        _compile(source, place)
    return module


def load(source: Path) -> ModuleType:
    """The compiled module."""
    spec = importlib.util.spec_from_file_location(source.stem, compiled(source))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _compile(source: Path, place: Path) -> None:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    extension = Extension(source.stem, [str(source)], extra_compile_args=FLAGS)
    modules = cythonize(  # type: ignore[no-untyped-call]
        [extension], include_path=[str(ROOT / "src")], build_dir=str(place), quiet=True
    )
    distribution = Distribution({"name": source.stem, "ext_modules": modules})
    command = distribution.get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(place), str(place / "temp")
    distribution.run_command("build_ext")
