"""What a client is told about the session when it has logged in: the server's own ParameterStatus values.

A pool keeps them for each set of settings its clients start with, so that only the first login with a set has to ask
a server.  application_name is put in without asking where it is plain text, because it often differs by client.
Holds no socket.  Called by `handshake`.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, strcmp

from howdah.cdefs.threads cimport pthread_mutex_lock, pthread_mutex_unlock
from howdah.dataplane.pool cimport Pool, Pools
from howdah.dataplane.session_state cimport Settings, plain_text, settings_drop, settings_hold, settings_value
from howdah.wire.bytes cimport Writer
from howdah.wire.compose cimport compose_parameter_status
from howdah.wire.startup cimport next_parameter

cdef enum:
    MOST_WELCOMES = 64  # sets of settings remembered by one pool; the oldest goes

# Belongs to its pool; changes under the pools' lock.
cdef struct Welcome:
    Welcome *next
    Settings *settings  # counted
    uint32_t size
    # `size` bytes of name and value strings follow


cdef Settings *key_of(Settings *settings) noexcept nogil:
    cdef const char *name = settings_value(settings, "application_name")
    return settings.plain if name != NULL and plain_text(name) else settings


cdef bint write_welcome(Pools *pools, Pool *pool, Settings *settings, Writer *w) noexcept nogil:
    """The ParameterStatus messages for a client with `settings`; False: a server must be asked first."""
    cdef Settings *key = key_of(settings)
    cdef const char *own_name = settings_value(settings, "application_name") if key != settings else NULL
    cdef const char *at
    cdef const char *end
    cdef const char *name = NULL
    cdef const char *value = NULL
    cdef Welcome *welcome
    pthread_mutex_lock(&pools.lock)
    welcome = <Welcome *>pool.welcomes
    while welcome != NULL and welcome.settings != key:
        welcome = welcome.next
    if welcome != NULL:
        at = <const char *>(welcome + 1)
        end = at + welcome.size
        while next_parameter(&at, end, &name, &value):
            if own_name != NULL and strcmp(name, "application_name") == 0:
                value = own_name
            compose_parameter_status(w, name, value)
    pthread_mutex_unlock(&pools.lock)
    return welcome != NULL


cdef Welcome *welcome_new(Settings *key, const char *parameters, uint32_t size) noexcept nogil:
    cdef Welcome *made = <Welcome *>malloc(sizeof(Welcome) + size)
    if made != NULL:
        made.settings = settings_hold(key)
        made.size = size
        memcpy(made + 1, parameters, size)
    return made


cdef void drop_all(Welcome *welcome) noexcept nogil:
    cdef Welcome *next_welcome
    while welcome != NULL:
        next_welcome = welcome.next
        settings_drop(welcome.settings)
        free(welcome)
        welcome = next_welcome


cdef void keep_welcome(Pools *pools, Pool *pool, Settings *settings, const char *parameters, uint32_t size,
                       bint fresh) noexcept nogil:
    """A server with `settings` has these parameters.  `fresh`: it has just been opened; where it differs from the
    ones before (a new version, a new configuration), nothing that was remembered holds any more."""
    cdef Settings *key = key_of(settings)
    cdef Welcome *made = welcome_new(key, parameters, size)
    cdef Welcome *unwanted = NULL
    cdef Welcome **link
    cdef int count = 0
    if made == NULL:
        return
    pthread_mutex_lock(&pools.lock)
    link = <Welcome **>&pool.welcomes
    while link[0] != NULL and link[0].settings != key:
        count += 1
        link = &link[0].next
    if link[0] != NULL and link[0].size == size and memcmp(link[0] + 1, parameters, size) == 0:
        made.next = NULL
        unwanted = made
    elif fresh or count >= MOST_WELCOMES:
        unwanted = <Welcome *>pool.welcomes
        made.next = NULL
        pool.welcomes = made
    else:
        if link[0] != NULL:
            unwanted = link[0]
            link[0] = unwanted.next
            unwanted.next = NULL
        made.next = <Welcome *>pool.welcomes
        pool.welcomes = made
    pthread_mutex_unlock(&pools.lock)
    drop_all(unwanted)


cdef void welcomes_free(Pool *pool) noexcept nogil:
    drop_all(<Welcome *>pool.welcomes)
    pool.welcomes = NULL
