"""The setting `pin`: what becomes of servers that would have to be kept for one client, for all reasons or for some.

`"warn"`, or `"allow, temporary_object = deny, load = deny"`: a word alone is for all reasons that are not named.
"""

import functools
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from howdah.control.config.units import BadValueError, Kind, words
from howdah.dataplane.plan import PinKind, PinRules

POLICIES = ("allow", "warn", "deny")
#: By the names of the setting, which are those of `howdah.reasons` without "pin_".
KINDS: Mapping[str, PinKind] = {str(kind.name).lower(): kind for kind in PinKind}


def _rules(value: tuple[str, ...]) -> tuple[str, ...]:
    """As they were written, but for spaces; empty: allow."""
    general: list[str] = []
    own: dict[str, str] = {}
    for rule in value:
        name, equals, policy = (part.strip() for part in rule.partition("="))
        if (policy if equals else name) not in POLICIES:
            raise BadValueError(f"{rule!r} must be one of {', '.join(POLICIES)}, or a reason, = and one of these")
        if not equals:
            general.append(name)
            continue
        name = name.removeprefix("pin_")
        if name not in KINDS:
            raise BadValueError(f"{name!r} is no reason; there are {', '.join(KINDS)}")
        if name in own:
            raise BadValueError(f"{name} is there twice")
        own[name] = policy
    if len(general) > 1:
        raise BadValueError(f"only one of {', '.join(POLICIES)} can be for all reasons that are not named")
    return (*(general or ["allow"]), *(f"{name}={policy}" for name, policy in own.items()))


@functools.cache  # most databases have the same
def pin_rules(rules: tuple[str, ...]) -> PinRules:
    """What they come to.  That a session could not be asked about is nobody's wish: it is denied only by its name."""
    general, *own = rules
    policies = dict.fromkeys(KINDS, general)
    if general == "deny":
        policies["unknown"] = "allow"
    policies |= dict(rule.split("=") for rule in own)
    warn = deny = 0
    for name, policy in policies.items():
        if policy == "warn":
            warn |= KINDS[name]
        elif policy == "deny":
            deny |= KINDS[name]
    return PinRules(warn, deny)


Rules = Annotated[
    tuple[str, ...], BeforeValidator(words), AfterValidator(_rules), Kind("allow, warn or deny, also by reason")
]
