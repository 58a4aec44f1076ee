"""Programs that once were answered differently, each by the name of what was wrong."""

from tests.kit import wire
from tests.model.program import ACTORS, Program

one, two = ACTORS

PROGRAMS: dict[str, Program] = {
    "a Sync behind the description of an unnamed statement that is not there": [
        one.sends(wire.describe_statement("")),
        one.sends(wire.flush()),
        one.reads(),
        one.sends(wire.sync()),
        one.reads(),
        two.sends(wire.query("SELECT 1")),
    ],
    "goodbye behind extended messages without Sync": [
        one.sends(wire.execute()),
        one.sends(wire.terminate()),
    ],
    "a Parse of howdah's own behind the end of a copy that never was": [
        one.sends(wire.parse("SELECT 1", "s"), more=True),
        one.sends(wire.copy_fail("no copy"), more=True),
        one.sends(wire.parse("SELECT 2", "t"), more=True),
        one.sends(wire.sync()),
        one.reads(),
    ],
}
