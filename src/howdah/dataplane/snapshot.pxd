"""Rows about clients and memory, collected by the workers for the control plane."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from howdah.dataplane.parties cimport SHOWN_TEXT, Client, Worker

cpdef enum SnapKind:
    SNAP_CLIENTS
    SNAP_PINS
    SNAP_MEMORY

# What a worker has of this snapshot.
cpdef enum LookVerdict:
    LOOK_DONE
    LOOK_MORE  # ask again: a turn is too short for all of its clients

cpdef enum Store:
    STORE_CLIENTS
    STORE_BLOCKS  # the first of BLOCK_CLASSES
    STORE_LARGE_BLOCKS = 4
    STORES

cdef struct ClientSnap:
    uint64_t id
    int state
    int worker
    char[64] database  # "": in none yet
    char[64] user
    char[64] address
    uint16_t port
    char[64] local_address
    uint16_t local_port
    uint64_t connected_us
    uint64_t request_us
    uint64_t wait_us
    uint64_t link
    int pins
    int replication
    uint32_t prepared_statements
    uint32_t channels
    char[64] application_name
    char[64] tls
    char[256] sni
    int fd
    uint32_t held  # bytes that were read and have to wait
    uint32_t remain  # bytes still to come of the message that is being passed on
    uint64_t unsent

cdef struct PinSnap:
    uint64_t client
    uint64_t server
    char[64] database
    char[64] user
    char[64] application_name
    uint8_t kind  # of plan.PinKind, by its place
    uint64_t since_us
    char[SHOWN_TEXT] statement

# Things of one size that a worker has.
cdef struct MemorySnap:
    int store
    uint64_t size
    uint64_t used
    uint64_t free

# Made by `engine`, filled by each worker in turn, freed by `engine`.
cdef struct Snapshot:
    int kind  # a SnapKind: what `rows` are
    bint begun  # the worker that has it now has done a part of it
    void *rows
    size_t count
    size_t room
    bint failed  # out of memory: some rows are missing
    int done_fd

cdef LookVerdict take_snapshot(Worker *w, Snapshot *snapshot) noexcept nogil
cdef void local_end(int fd, char *to, size_t size, uint16_t *port) noexcept nogil
