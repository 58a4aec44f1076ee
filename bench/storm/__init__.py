"""The load generator for logins and TLS: a C program (storm.c and its neighbours) and what starts and reads it."""
