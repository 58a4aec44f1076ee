"""The setting `pin`: one word for all reasons, others for some."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from howdah.control.config.load import Request, read
from howdah.control.config.pin_rules import KINDS, Rules, pin_rules
from howdah.control.config.units import BadValueError, percentage
from howdah.dataplane.plan import PinKind, PinRules
from howdah.reasons import BY_CODE

EVERY = PinKind(sum(PinKind))
ASKED = EVERY & ~PinKind.UNKNOWN


class _Holder(BaseModel):
    pin: Rules


def rules(value: Any) -> tuple[str, ...]:
    return _Holder(pin=value).pin


@pytest.mark.parametrize(
    "value, wanted",
    [
        ("allow", PinRules()),
        ("", PinRules()),
        ("warn", PinRules(warn=EVERY)),
        ("deny", PinRules(deny=ASKED)),
        ("deny, unknown=deny", PinRules(deny=EVERY)),
        ("deny, listen = allow", PinRules(deny=ASKED & ~PinKind.LISTEN)),
        ("load=deny", PinRules(deny=PinKind.LOAD)),
        (["warn", "temporary_object=deny"], PinRules(EVERY & ~PinKind.TEMPORARY_OBJECT, PinKind.TEMPORARY_OBJECT)),
        ("pin_advisory_lock = warn", PinRules(warn=PinKind.ADVISORY_LOCK)),
    ],
)
def test_rules_come_to_two_sets(value: Any, wanted: PinRules) -> None:
    assert pin_rules(rules(value)) == wanted


@pytest.mark.parametrize(
    "value", ["often", "warn, deny", "listen", "listen=often", "dancing=deny", "load=deny, load=allow", 5, "=deny"]
)
def test_what_is_no_rule_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        rules(value)


def test_each_kind_has_its_reason() -> None:
    assert {f"pin_{name}" for name in KINDS} <= set(BY_CODE)


def test_bits_are_the_data_planes() -> None:
    parties = pytest.importorskip("howdah.dataplane.parties")
    pins = {int(pin) for pin in parties.Pin}
    assert {int(kind) for kind in PinKind} <= pins


@pytest.mark.parametrize("value, wanted", [("0%", 0), ("50 %", 50), (" 100% ", 100)])
def test_a_percentage_has_its_sign(value: str, wanted: int) -> None:
    assert percentage(value) == wanted


@pytest.mark.parametrize("value", ["50", 50, 0.5, "101%", "-1%", "%", True, "1.5%"])
def test_what_is_no_percentage_is_refused(value: Any) -> None:
    with pytest.raises(BadValueError, match="percentage"):
        percentage(value)


def test_environment_and_options_can_say_it() -> None:
    config = read(
        Request("postgresql://app@127.0.0.1/app"), {"HOWDAH_PIN": "warn, load=deny", "HOWDAH_MAX_PINNED": "30%"}
    )
    assert (config.settings.pin, config.settings.max_pinned) == (("warn", "load=deny"), 30)
