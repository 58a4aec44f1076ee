"""What the texts that a client sends may do to its session is noted, until the server is asked about it.

Called by `relay`, `asking` and the modules that send texts.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy, strlen

from howdah.dataplane.buffers cimport Block, block_data, block_new, hold_more
from howdah.dataplane.parties cimport Client, Server, Worker
from howdah.dataplane.pinning cimport follows_client
from howdah.dataplane.routes cimport CHECK_ALWAYS, CHECK_OFF
from howdah.dataplane.sequences cimport note_sequences
from howdah.dataplane.session_state cimport is_identity, same_name, settings_value
from howdah.sql.analysis cimport analyse
from howdah.sql.effects cimport (
    EFFECT_ANYTHING,
    EFFECT_BEGINS,
    EFFECT_DEALLOCATE,
    EFFECT_DISCARD,
    EFFECT_ENDS,
    EFFECT_EXECUTE,
    EFFECT_NUMBERS,
    EFFECT_PREPARE,
    EFFECT_ROLE,
    EFFECT_SEQUENCE,
    EFFECT_SETTING,
    EFFECT_SETTINGS,
    EFFECT_SEVERAL,
    EFFECT_TO_SAVEPOINT,
    EFFECTS_FOR_CERTAIN,
    LARGEST_SETTING,
    SETTING_RESET,
    SETTING_SET,
    Analysis,
    analysis_start,
    settings_size,
    write_settings,
)

cdef enum:
    MOST_NOTED = 4096  # bytes of names of settings; with more, all settings are asked for
    # After these the session may have settings of which no question tells, or some that only another role may reset.
    HIDING = EFFECT_SETTINGS | EFFECT_ROLE | EFFECT_ANYTHING
    # These leave nothing that a question would find, or come with another that does.
    NOT_ASKED = (EFFECT_BEGINS | EFFECT_ENDS | EFFECT_TO_SAVEPOINT | EFFECT_SEVERAL | EFFECT_EXECUTE
                 | EFFECT_SEQUENCE | EFFECT_NUMBERS | EFFECTS_FOR_CERTAIN)


cdef void look_at(const Client *client, const uint8_t *text, size_t size, Analysis *found) noexcept nogil:
    """What a text may do, of which `size` bytes have come.  In a session of the client's own that is nobody's business.
    """
    cdef const Server *server = client.server
    if server == NULL or follows_client(client) or server.settling or client.names.count:
        analyse(text, size, found)
    else:
        analysis_start(found)


cdef void note_effects(Worker *w, Client *client, uint32_t effects, const char *names, uint32_t size) noexcept nogil:
    """A text with these effects goes to the client's server; `names`: of settings, see `write_settings`."""
    cdef const char *at = names
    if effects & (EFFECT_PREPARE | EFFECT_ANYTHING):
        client.left_effects |= effects
    if effects & EFFECT_EXECUTE:
        effects |= running_what_is_left(client)
    if effects & (EFFECT_NUMBERS | EFFECT_SEQUENCE | EFFECT_ANYTHING):
        note_sequences(w, client, effects)
    if w.plan.session_check == CHECK_ALWAYS:
        effects |= EFFECT_ANYTHING
    elif w.plan.session_check == CHECK_OFF:
        effects &= ~<uint32_t>EFFECT_ANYTHING
    if effects & ~<uint32_t>NOT_ASKED == 0 or not follows_client(client):
        return
    client.effects |= effects & ~<uint32_t>NOT_ASKED
    if effects & HIDING:
        client.server.hidden_by = client.id
    client.resets = client.resets or (client.first_settings.count and effects & (EFFECT_SETTINGS | EFFECT_DISCARD))
    while at < names + size:
        note_setting(w, client, <uint8_t>at[0], at + 1)
        at += strlen(at) + 1


cdef uint32_t running_what_is_left(const Client *client) noexcept nogil:
    """The effects of an EXECUTE or Bind of what the server has for this client alone; of any of it, for nobody knows
    which names stand for what."""
    cdef uint32_t effects = client.left_effects
    return effects | EFFECT_SETTINGS if effects & EFFECT_SETTING else effects


cdef void note_run_of_left(Worker *w, Client *client) noexcept nogil:
    """Such a statement is about to be run."""
    note_effects(w, client, EFFECT_EXECUTE, NULL, 0)
    if client.left_effects & (EFFECT_DEALLOCATE | EFFECT_ANYTHING):
        client.server.replies.dropping = True


cdef void note_run_by_name(Worker *w, Client *client) noexcept nogil:
    """A text runs by SQL what the server has under a name that nobody has looked at: it may be an earlier client's."""
    note_effects(w, client, EFFECT_ANYTHING, NULL, 0)
    client.server.replies.dropping = True


cdef void undone(Client *client) noexcept nogil:
    """Something has failed or was rolled back: a setting that was to be changed may have the server's own value, and
    only the list of all says whether it has."""
    client.undone = client.effects != 0
    if client.effects & EFFECT_SETTING:
        client.effects |= EFFECT_SETTINGS


cdef void setting_reported(Client *client, const char *name) noexcept nogil:
    """PostgreSQL has told of a change; was it the text that was sent, or something inside a function?"""
    if not is_noted(client, name):
        client.effects |= EFFECT_SETTINGS


cdef void note_analysis(Worker *w, Client *client, const Analysis *found) noexcept nogil:
    note_effects(w, client, found.effects, NULL, 0)
    for i in range(found.setting_count):
        note_setting(w, client, found.settings[i].change, found.settings[i].name)


cdef bint hold_settings(Worker *w, Block **held, const Analysis *found) noexcept nogil:
    """Keep the names of the settings, see `write_settings`; False: out of memory."""
    cdef uint32_t size = settings_size(found)
    if size == 0:
        return True
    held[0] = block_new(&w.slab, size)
    if held[0] == NULL:
        return False
    held[0].end = write_settings(found, <char *>block_data(held[0]))
    return True


cdef void note_setting(Worker *w, Client *client, uint8_t change, const char *name) noexcept nogil:
    """This setting may not be what it was.  (What the client has logged in with may have been reset to that, which a
    value does not tell.)"""
    cdef char[LARGEST_SETTING + 2] added
    cdef size_t size = min(strlen(name), <size_t>LARGEST_SETTING) + 2
    cdef char *noted
    if not follows_client(client):
        return
    client.effects |= EFFECT_SETTING
    if settings_value(client.first_settings, name) != NULL:
        client.effects |= EFFECT_SETTINGS
        client.resets = client.resets or change != SETTING_SET
    elif change == SETTING_RESET:
        client.effects |= EFFECT_SETTINGS  # a value asked for by name would be taken for the client's own
    if same_name(name, "all"):
        note_reset_of_all(client)
    noted = find_noted(client, name)
    if noted != NULL:
        noted[0] = <char>change
        return
    added[0] = <char>change
    memcpy(added + 1, name, size - 2)
    added[size - 1] = 0
    if (client.noted != NULL and client.noted.end + size > MOST_NOTED) or not hold_more(
            &w.slab, &client.noted, added, size):
        client.effects |= EFFECT_SETTINGS
        client.server.hidden_by = client.id


cdef void note_reset_of_all(Client *client) noexcept nogil:
    cdef char *noted = first_noted(client)
    while noted != NULL:
        if not is_identity(noted + 1):
            noted[0] = SETTING_RESET
        noted = noted_behind(client, noted)


cdef bint is_noted(const Client *client, const char *name) noexcept nogil:
    return find_noted(client, name) != NULL


cdef bint is_reset(const Client *client, const char *name) noexcept nogil:
    """Is that the last that was sent about it?"""
    cdef const char *noted = find_noted(client, name)
    if noted == NULL and not is_identity(name):
        noted = find_noted(client, "all")
    return noted != NULL and noted[0] == SETTING_RESET


cdef const char *next_noted(const Client *client, const char **at) noexcept nogil:
    """Step through the names of settings, from `at` being NULL until the answer is."""
    at[0] = first_noted(client) if at[0] == NULL else noted_behind(client, at[0])
    return at[0] + 1 if at[0] != NULL else NULL


cdef char *find_noted(const Client *client, const char *name) noexcept nogil:
    cdef char *noted = first_noted(client)
    while noted != NULL and not same_name(noted + 1, name):
        noted = noted_behind(client, noted)
    return noted


cdef char *first_noted(const Client *client) noexcept nogil:
    """A SettingChange, in front of the name; NULL: there is none."""
    return <char *>block_data(client.noted) if client.noted != NULL else NULL


cdef char *noted_behind(const Client *client, const char *noted) noexcept nogil:
    cdef char *start = <char *>block_data(client.noted)
    cdef size_t at = noted - start + strlen(noted) + 1
    return start + at if at < client.noted.end else NULL
