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
    "a Bind that waits for an answer behind a Sync that a copy ignores": [
        one.sends(wire.parse("SELECT 1", "s"), more=True),
        one.sends(wire.sync(), more=True),
        one.sends(wire.parse("DEALLOCATE ALL"), more=True),
        one.sends(wire.bind(), more=True),
        one.sends(wire.execute(), more=True),
        one.sends(wire.parse("COPY of_one (n) FROM STDIN"), more=True),
        one.sends(wire.bind(), more=True),
        one.sends(wire.execute(), more=True),
        one.sends(wire.sync(), more=True),
        one.sends(wire.copy_data(b"3\n"), more=True),
        one.sends(wire.copy_done(), more=True),
        one.sends(wire.bind(statement="s"), more=True),
        one.sends(wire.sync()),
        one.reads(),
    ],
    "the unnamed statement behind a Close of it that is skipped": [
        one.sends(wire.parse("SELECT 1"), more=True),
        one.sends(wire.sync(), more=True),
        one.sends(wire.describe_portal("p"), more=True),
        one.sends(wire.close_statement(), more=True),
        one.sends(wire.sync(), more=True),
        one.sends(wire.bind(), more=True),
        one.sends(wire.sync()),
        one.reads(),
    ],
    "the unnamed statement behind a Close and a Parse that are both skipped": [
        one.sends(wire.parse("SELECT 1"), more=True),
        one.sends(wire.sync(), more=True),
        one.sends(wire.describe_portal("p"), more=True),
        one.sends(wire.close_statement(), more=True),
        one.sends(wire.sync(), more=True),
        one.sends(wire.describe_portal("p"), more=True),
        one.sends(wire.parse("SELECT 2"), more=True),
        one.sends(wire.sync()),
        one.reads(),
        one.sends(wire.bind()),
        one.sends(wire.sync()),
        one.reads(),
    ],
}
