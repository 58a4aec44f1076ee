"""The lower bound: a relay that finds message boundaries and ReadyForQuery and does nothing else."""
