"""Session fidelity: a client in transaction mode cannot tell that it shares its servers.

A case (`case`) is a short program of one client or two.  It is played (`player`) on PostgreSQL itself, then through
howdah with a pool of two servers.  Between any two of its steps other clients (`neighbours`) use both servers, leave in
them whatever a session can hold (`soils`), and keep the one that the case had last: its next transaction runs on the
other one unless it has pinned its server.  All answers (`answers`) must be the same, step by step.
`not_yet` names the cases that are not.
"""
