"""The log's two shapes, and what strangers cannot do to it."""

import json
import subprocess
import sys
from io import StringIO

from howdah.control.log import configure, logger


def _written(*, as_json: bool, level: str = "info") -> StringIO:
    stream = StringIO()
    configure(level=level, json=as_json, stream=stream, colors=False)
    return stream


def test_json_lines_begin_with_time_level_and_message() -> None:
    stream = _written(as_json=True)
    logger().info("something", answer=42)
    fields = json.loads(stream.getvalue())
    assert list(fields) == ["time", "level", "message", "answer"]
    assert fields["message"] == "something"


def test_lines_below_the_level_are_dropped() -> None:
    stream = _written(as_json=True, level="warning")
    logger().info("too quiet")
    logger().warning("loud enough")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["loud enough"]


def test_a_name_can_neither_break_the_line_nor_reach_the_terminal() -> None:
    stream = _written(as_json=False)
    logger().warning("client closed\x1b[2J", user="eve\n12:00:00 [info] all is well")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert "[2J" in text
    assert "all is well" in text


def test_an_exception_is_told_in_full() -> None:
    for as_json in (True, False):
        stream = _written(as_json=as_json)
        try:
            raise ValueError("what was it")
        except ValueError:
            logger().exception("internal error")
        assert "ValueError: what was it" in stream.getvalue()


def test_the_log_does_not_import_rich() -> None:
    """It would cost a tenth of a second at each start; and it must be importable afterwards."""
    program = "import sys, howdah.control.log; assert 'rich' not in sys.modules; import rich, pygments"
    subprocess.run([sys.executable, "-c", program], check=True)
