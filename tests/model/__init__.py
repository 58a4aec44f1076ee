"""Random programs of protocol messages get the same answers from howdah as from PostgreSQL: the referee of every doubt.

`program` says what a program is, `vocabulary` and `generator` make them, `ledger` knows what PostgreSQL still owes,
`play` plays a program against PostgreSQL (the oracle), which makes a `transcript`, and then against howdah.
`comparing` says what "the same" means and `stale` the one difference that howdah makes on purpose, `shrinking` reduces
what failed, `universe` holds the databases and the referee.  `regressions` are programs that once failed.
CONTRIBUTING.md says how to play them for long and what to do with a find.
"""
