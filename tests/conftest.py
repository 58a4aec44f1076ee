"""What pytest loads first: the kit's fixture families and the options of a run."""

import pytest

pytest_plugins = ["tests.kit.fix_postgres", "tests.kit.fix_pooler", "tests.kit.fix_network", "tests.kit.fix_logins",
                  "tests.kit.fix_directories", "tests.kit.fix_clients"]  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres-binaries", metavar="DIR", default="",
        help="run on this PostgreSQL instead of the embedded one: a folder with initdb and postgres",
    )  # fmt: skip
    parser.addoption(
        "--soak-seconds", type=float, default=10.0,
        help="how long each soak test goes on (default 10; 120 by hand before a release)",
    )  # fmt: skip
    parser.addoption("--soak-clients", type=int, default=200, help="how many clients a soak test has (default 200)")
    parser.addoption(
        "--console-clients", type=int, default=1000,
        help="how many clients the console is asked about (default 1000; 10000 by hand, on the release build)",
    )  # fmt: skip
    parser.addoption(
        "--reload-databases", type=int, default=200,
        help="how many databases a reload is about (default 200; 2000 by hand, on the release build)",
    )  # fmt: skip
    parser.addoption(
        "--tenant-transactions", type=int, default=6000,
        help="how many transactions of tenants share servers (default 6000; 1000000 by hand before a release)",
    )  # fmt: skip
    parser.addoption(
        "--all-clients", action="store_true",
        help="run the suites of tests/clients in all languages and variants; `make clients` brings what they need",
    )  # fmt: skip
    parser.addoption(
        "--model-seconds", type=float, default=16.0,
        help="how long the protocol model plays in all (default 16; 600 by hand after a change of the relay)",
    )  # fmt: skip
