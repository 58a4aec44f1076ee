"""The lower bound: a relay that finds message boundaries and ReadyForQuery and does nothing else."""

from pathlib import Path

SOURCE = Path(__file__).with_name("relay.pyx")
