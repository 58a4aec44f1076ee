"""Drives `howdah.dataplane.statements` and `howdah.dataplane.texts` from Python."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from howdah.dataplane cimport statements, texts
from howdah.dataplane.statements cimport Names, Shelf
from howdah.sql.effects cimport Analysis
from howdah.dataplane.texts cimport Naming, Statement

from howdah.dataplane.statements import ShelfVerdict


cdef class Text:
    """A hold on a statement."""

    cdef Statement *statement

    def __cinit__(self, bytes data):
        cdef const uint8_t *text = <const uint8_t *><const char *>data
        cdef Analysis analysis
        analysis.effects = analysis.setting_count = 0
        self.statement = texts.statement_new(text, <uint32_t>len(data), &analysis, NULL, NULL)

    def __dealloc__(self):
        texts.statement_drop(self.statement)

    @property
    def name(self):
        return self.statement.name[:self.statement.name_size]

    @property
    def data(self):
        return (<const char *>texts.text_data(self.statement.text))[:self.statement.text.size]


cdef class ClientNames:
    cdef Names names

    def __cinit__(self):
        statements.names_init(&self.names)

    def __dealloc__(self):
        statements.names_clear(&self.names)

    def __len__(self):
        return self.names.count

    def put(self, bytes name, Text text):
        """Only names that are not there yet."""
        cdef Naming *naming = texts.naming_new(name, <uint32_t>len(name), text.statement)
        assert statements.names_put(&self.names, naming, 0)

    def find(self, bytes name):
        """The name at servers, or nothing."""
        cdef int32_t *edition
        cdef Naming *naming = statements.names_find(&self.names, name, <uint32_t>len(name), &edition)
        return None if naming == NULL else naming.statement.name[:naming.statement.name_size]

    def take(self, bytes name):
        cdef Naming *naming = statements.names_take(&self.names, name, <uint32_t>len(name))
        if naming == NULL:
            return None
        found = naming.statement.name[:naming.statement.name_size]
        texts.naming_drop(naming)
        return found

    def clear(self):
        statements.names_clear(&self.names)


cdef class ServerShelf:
    cdef Shelf shelf

    def __cinit__(self):
        statements.shelf_init(&self.shelf)

    def __dealloc__(self):
        statements.shelf_clear(&self.shelf)

    def __len__(self):
        return self.shelf.count

    def find(self, Text text):
        return ShelfVerdict(statements.shelf_find(&self.shelf, text.statement, 0))

    def put(self, Text text, int most):
        """The name of what had to make room, or nothing."""
        cdef Statement *evicted = statements.shelf_evict(&self.shelf, most, text.statement)
        name = None if evicted == NULL else evicted.name[:evicted.name_size]
        texts.statement_drop(evicted)
        assert statements.shelf_put(&self.shelf, text.statement, 0)
        return name

    def remove(self, Text text):
        statements.shelf_remove(&self.shelf, text.statement)

    def stale(self):
        statements.shelf_stale(&self.shelf)

    def clear(self):
        statements.shelf_clear(&self.shelf)
