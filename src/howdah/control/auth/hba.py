"""PostgreSQL's pg_hba.conf: who may log in from where, to what, and how they prove who they are.

Reads the text of a file into the plan's access rules, and what PgBouncer's other auth_types come to.  What PostgreSQL
has and howdah has not is refused, never passed over: a line not understood may have been a reject.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from howdah.control.auth.lines import LONGEST_NAME, Line, Lines, Word, first_of, is_too_long, shown
from howdah.control.auth.options import read_options
from howdah.control.auth.pattern import posix
from howdah.control.config.errors import Problem
from howdah.dataplane.plan import AccessRule, ClientCertificate, Method, NameKind, NameMatch, Nearby, Transport

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class HbaLine:
    """One line: what the data plane decides by, and its options.

    `options` are as in the file ("ldapserver", "pamservice", ...), but for ldapurl: its parts stand there under their
    own names, with "ldapscope" ("base", "one" or "sub") for the one that has no other name.
    """

    rule: AccessRule
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Hba:
    """What a file says; not to be used when a problem is fatal."""

    lines: tuple[HbaLine, ...]
    problems: list[Problem]


def read_hba(path: str, text: str, read: Callable[[str], str]) -> Hba:
    """Read a whole file; `path` names it in problems, and files it names are looked for beside it.

    `read` gives the text of such a file, or raises OSError or ValueError.  Raises nothing itself: what is wrong is in
    `problems`.
    """
    lines = Lines(read)
    rules = [_Row(line, lines.problems).rule() for line in lines.of(path, text)]
    if not rules and not lines.problems:
        lines.problems.append(
            Problem(path, "", "has no rules: nobody could log in", "add one, as host all all all scram-sha-256")
        )
    return Hba(tuple(rule for rule in rules if rule is not None), first_of(lines.problems))


def rules_of_auth_type(auth_type: str, ldap_options: str) -> tuple[HbaLine, ...]:
    """The rules that PgBouncer's auth_type comes to; "hba" is none of them.

    `ldap_options` is what would stand behind `ldap` in an HBA line.  ValueError says, to people, what is wrong with it.
    """
    method = Method.TRUST if auth_type == "any" else _METHODS.get(auth_type)
    if method is None or auth_type not in AUTH_TYPES:
        raise ValueError(f"{auth_type} is no auth_type; those are {', '.join(AUTH_TYPES)} and hba")
    everybody = (NameMatch(NameKind.ALL),)
    everything = (*everybody, NameMatch(NameKind.REPLICATION))  # in an HBA file "all" does not mean replication
    transport = (Transport.HOSTSSL,) if method is Method.CERT else (Transport.LOCAL, Transport.HOST)
    rule = AccessRule("auth_type", transport, everything, everybody, (), Nearby.NO, method, any_user=auth_type == "any")
    return (HbaLine(rule, _ldap_options(ldap_options) if method is Method.LDAP else {}),)


def _ldap_options(text: str) -> Mapping[str, str]:
    wrong: list[str] = []
    lines = Lines(_no_file)
    line = lines.line(text, "auth_ldap_options")
    words = [word.text for words in line.fields for word in words]
    options = read_options(
        words, Method.LDAP, None, lambda message, advice: wrong.append(f"{message}; {advice}" if advice else message)
    )
    wrong = [f"{problem.message}; {problem.advice}" for problem in lines.problems] or wrong
    if wrong:
        raise ValueError(". ".join(wrong))
    return options


def _no_file(_path: str) -> str:
    raise ValueError("no files are read here; write the options themselves")


# --- the words that have a meaning

AUTH_TYPES = ("any", "trust", "plain", "md5", "scram-sha-256", "cert", "ldap", "pam")
_METHODS: Mapping[str, Method] = {
    "trust": Method.TRUST,
    "reject": Method.REJECT,
    "md5": Method.MD5,
    "scram-sha-256": Method.SCRAM,
    "password": Method.PLAIN,
    "plain": Method.PLAIN,  # PgBouncer's name
    "cert": Method.CERT,
    "peer": Method.PEER,
    "ldap": Method.LDAP,
    "pam": Method.PAM,
}
_OTHER_METHODS = ("gss", "sspi", "ident", "radius", "bsd", "oauth")
_TRANSPORTS: Mapping[str, Transport] = {
    "local": Transport.LOCAL,
    "host": Transport.HOST,
    "hostssl": Transport.HOSTSSL,
    "hostnossl": Transport.HOSTNOSSL,
    "hostnogssenc": Transport.HOST,  # no connection is encrypted by GSSAPI here
}
_DATABASES: Mapping[str, NameKind] = {
    "all": NameKind.ALL,
    "sameuser": NameKind.SAME_USER,
    "replication": NameKind.REPLICATION,
}
_USERS: Mapping[str, NameKind] = {"all": NameKind.ALL}
_GROUPS = ("samerole", "samegroup")
_CERTIFICATES: Mapping[str, ClientCertificate] = {
    "verify-ca": ClientCertificate.VERIFY_CA,
    "verify-full": ClientCertificate.VERIFY_FULL,
}
_NEARBY: Mapping[str, Nearby] = {"all": Nearby.NO, "samehost": Nearby.SAME_HOST, "samenet": Nearby.SAME_NET}


class _Broken(Exception):
    """The rest of a line cannot be read: what its fields are is not known."""


@dataclass(slots=True)
class _Row:
    """One line on its way to a rule, field by field from the left."""

    line: Line
    problems: list[Problem]
    at: int = 0
    fine: bool = True

    def rule(self) -> HbaLine | None:
        """The line's rule; None: it has problems."""
        try:
            made = self._rule()
        except _Broken:
            return None
        return made if self.fine and self.line.fine else None

    def _rule(self) -> HbaLine:
        transport = self._transport()
        databases = self._names("database", _DATABASES)
        users = self._names("user", _USERS)
        networks, nearby = self._addresses() if transport is not Transport.LOCAL else ((), Nearby.NO)
        method = self._method(transport)
        words = [word.text for words in self.line.fields[self.at :] for word in words]
        options = read_options(words, method, transport, self._complain)
        certificate = _CERTIFICATES.get(options.get("clientcert", ""), ClientCertificate.NO)
        if "clientname" in options and method is not Method.CERT and certificate is not ClientCertificate.VERIFY_FULL:
            self._complain("clientname says how to compare a name, and none is compared", "add clientcert=verify-full")
        rule = AccessRule(
            self.line.where,
            (transport,),
            databases,
            users,
            networks,
            nearby,
            method,
            client_certificate=certificate,
            map=options.get("map", ""),
            distinguished_name=options.get("clientname") == "DN",
        )
        return HbaLine(rule, options)

    # --- reading

    def _complain(self, message: str, advice: str, where: str = "") -> None:
        self.fine = False
        self.problems.append(Problem(where or self.line.where, "", message, advice))

    def _warn(self, message: str, advice: str, where: str) -> None:
        self.problems.append(Problem(where, "", message, advice, fatal=False))

    def _field(self, what: str) -> tuple[Word, ...]:
        if self.at == len(self.line.fields):
            self._complain(f"the line ends before the {what}", "lines are: type database user [address] method")
            raise _Broken
        self.at += 1
        return self.line.fields[self.at - 1]

    def _one(self, what: str, advice: str) -> Word:
        words = self._field(what)
        if len(words) != 1:
            self._complain(f"one {what} is needed, not {len(words)}", advice)
            raise _Broken
        return words[0]

    def _peek(self) -> str:
        """The next field if it is one word."""
        words = self.line.fields[self.at] if self.at < len(self.line.fields) else ()
        return words[0].text if len(words) == 1 else ""

    # --- type, database, user

    def _transport(self) -> Transport:
        word = self._one("connection type", f"types are {', '.join(_TRANSPORTS)}")
        if word.text in _TRANSPORTS:
            return _TRANSPORTS[word.text]
        if word.text == "hostgssenc":
            self._complain("no connection is encrypted by GSSAPI here: hostgssenc never fits", "remove the line")
        else:
            close = difflib.get_close_matches(word.text, _TRANSPORTS, 1)
            advice = f"did you mean {close[0]}?" if close else f"types are {', '.join(_TRANSPORTS)}"
            self._complain(f"unknown connection type {shown(word.text)}", advice)
        raise _Broken

    def _names(self, what: str, keywords: Mapping[str, NameKind]) -> tuple[NameMatch, ...]:
        """None, where a file of names is empty, fit nobody."""
        return tuple(self._name(word, what, keywords) for word in self._field(f"{what} names"))

    def _name(self, word: Word, what: str, keywords: Mapping[str, NameKind]) -> NameMatch:
        text = word.text
        if text.startswith("/"):  # quoted too, as in PostgreSQL: an expression with a comma needs the quotes
            return self._regex(word)
        if not word.quoted:
            if text in keywords:
                return NameMatch(keywords[text])
            if what == "user" and text.startswith("+"):
                self._complain(
                    f"{shown(text)}: roles' members are known to PostgreSQL alone", "list the users", word.where
                )
            elif what == "database" and text in _GROUPS:
                advice = "list the databases, or use sameuser"
                self._complain(f"{shown(text)}: roles' members are known to PostgreSQL alone", advice, word.where)
        if is_too_long(text):
            advice = f"PostgreSQL's names have at most {LONGEST_NAME} bytes"
            self._warn(f"{shown(text)} fits no {what}: it is too long", advice, word.where)
        return NameMatch(NameKind.EXACT, text)

    def _regex(self, word: Word) -> NameMatch:
        try:
            return NameMatch(NameKind.REGEX, posix(word.text[1:]).text)
        except ValueError as error:
            message, _, advice = str(error).partition("; ")
            self._complain(f"the regular expression {shown(word.text[1:])}: {message}", advice, word.where)
            return NameMatch(NameKind.EXACT, word.text)

    # --- address

    def _addresses(self) -> tuple[tuple[Network, ...], Nearby]:
        """No networks and `Nearby.NO`: every address."""
        word = self._one("address", "write one line for each address")
        if word.text in _NEARBY and not word.quoted:
            return (), _NEARBY[word.text]
        if word.text in _METHODS or word.text in _OTHER_METHODS:
            self._complain(f"the line has no address before {word.text}", "add one; all is every address")
            self.at -= 1
            return (), Nearby.NO
        network = self._network(word.text)
        return (() if network is None else (network,)), Nearby.NO

    def _network(self, text: str) -> Network | None:
        address, slash, bits = text.partition("/")
        if not _is_address(address):
            self._complain(*_not_an_address(address))
            if not slash and _is_address(self._peek()):
                self.at += 1
            return None
        mask = bits if slash else self._mask(address)
        if mask is None:
            return None
        if slash and not (bits.isascii() and bits.isdecimal()):
            self._complain(
                f"{shown(text)}: behind the slash stands a number of bits", f"write {address}/{_all(address)}"
            )
            return None
        return self._masked(address, mask)

    def _mask(self, address: str) -> str | None:
        """The mask in a column of its own."""
        mask = self._peek()
        if not _is_address(mask):
            self._complain(f"{address} has no mask", f"write {address}/{_all(address)} for this address alone")
            return None
        self.at += 1
        if (":" in mask) != (":" in address):
            self._complain(f"the mask {mask} is of another kind than {address}", f"write {address}/BITS")
            return None
        return _bits_of(mask)

    def _masked(self, address: str, bits: str) -> Network | None:
        try:
            network = ip_network(f"{address}/{bits}", strict=False)
        except ValueError:
            most = _all(address)
            self._complain(f"{address} cannot have that mask", f"its ones stand in front: 0 to {most} of them")
            return None
        if network.network_address != ip_address(address):
            self._warn(
                f"{address}/{bits} is the whole network {network}", "write it so if it is meant", self.line.where
            )
        return network

    # --- method

    def _method(self, transport: Transport) -> Method:
        word = self._one("method", f"methods are {', '.join(_METHODS)}")
        method = _METHODS.get(word.text)
        if transport is Transport.LOCAL and word.text == "ident":
            method = Method.PEER  # as in PostgreSQL
        if method is None:
            self._complain(*self._unknown_method(word.text, transport))
            raise _Broken
        if method is Method.PEER and transport is not Transport.LOCAL:
            self._complain("peer is for local lines: over a network nobody vouches for a user", "use another method")
        if method is Method.CERT and transport is not Transport.HOSTSSL:
            self._complain("cert is for hostssl lines: certificates come with TLS", "make the line hostssl")
        return method

    def _unknown_method(self, text: str, transport: Transport) -> tuple[str, str]:
        if text in _OTHER_METHODS:
            return f"the method {text} is not supported", f"methods are {', '.join(_METHODS)}"
        if transport is Transport.LOCAL and (_is_address(text.partition("/")[0]) or text in _NEARBY):
            return "local lines have no address", f"remove {shown(text)}"
        close = difflib.get_close_matches(text, _METHODS, 1)
        return f"unknown method {shown(text)}", (
            f"did you mean {close[0]}?" if close else f"methods are {', '.join(_METHODS)}"
        )


def _is_address(text: str) -> bool:
    """With all its parts: PostgreSQL reads 10 as 0.0.0.10, which nobody means."""
    if "/" in text or "%" in text:
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _not_an_address(text: str) -> tuple[str, str]:
    if "%" in text and _is_address(text.partition("%")[0]):
        return f"{shown(text)}: interfaces cannot be named in addresses", "leave out the % and what follows"
    if text and not text.strip("0123456789."):
        return f"{shown(text)} is not an IP address", "write all four numbers, as 10.0.0.0/8"
    if ":" in text:
        return f"{shown(text)} is not an IP address", "correct it; ports do not belong here"
    message = f"host names are not supported ({shown(text)}): looking them up would hold up logins"
    return message, "write the address, as 10.0.0.0/8, all, samehost or samenet"


def _all(address: str) -> int:
    return 128 if ":" in address else 32


def _bits_of(mask: str) -> str:
    """How many ones a mask begins with; where other ones follow it is none (ipaddress would take it the other way)."""
    ones = "".join(f"{octet:08b}" for octet in ip_address(mask).packed).rstrip("0")
    return "none" if "0" in ones else str(len(ones))
