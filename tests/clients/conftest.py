"""What `make test` leaves to `make clients`: other languages than Python, and variants that try the same once more."""

import pytest

from tests.clients.programs import Program


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each story of a program is a test of its own."""
    if metafunc.cls is not None and issubclass(metafunc.cls, Program) and "story" in metafunc.fixturenames:
        metafunc.parametrize("story", metafunc.cls.stories)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("all_clients"):
        return
    for item in items:
        if item.get_closest_marker("all_clients"):
            item.add_marker(pytest.mark.skip(reason="`make clients` runs it"))
