"""SCRAM: our server and our client against each other and against RFC 5802 written down once more in Python."""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

scram = pytest.importorskip("howdah_probe.scram", reason="the release build has no probes")

OK, MALFORMED, WRONG, BINDING = "SCRAM_OK", "SCRAM_MALFORMED", "SCRAM_WRONG", "SCRAM_BINDING"
PLUS_HEADER = b"p=tls-server-end-point,,"
NONCE = b"rOprNGfwEbeRWgbNEkqO"
SALT = b"sixteen byte sal"

PASSWORDS = st.binary(max_size=100)
SALTS = st.binary(min_size=1, max_size=64)
ITERATIONS = st.integers(1, 30)
#: Of SHA-1 to SHA-512.
END_POINTS = st.binary(min_size=20, max_size=64)
NONCES = st.text([chr(c) for c in range(0x21, 0x7F) if chr(c) != ","], min_size=1, max_size=200).map(str.encode)


# RFC 5802 in Python, by the names of its section 3


def hmac_sha256(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def text_of(data: bytes) -> bytes:
    return base64.b64encode(data)


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


@dataclass(frozen=True)
class Known:
    """What whoever knows the password knows."""

    password: bytes = b"secret"
    salt: bytes = SALT
    iterations: int = 2

    @property
    def salted(self) -> bytes:
        return hashlib.pbkdf2_hmac("sha256", self.password, self.salt, self.iterations)

    @property
    def client_key(self) -> bytes:
        return hmac_sha256(self.salted, b"Client Key")

    @property
    def keys(self) -> Any:
        stored = hashlib.sha256(self.client_key).digest()
        return scram.Keys(self.iterations, self.salt, stored, hmac_sha256(self.salted, b"Server Key"))

    def terms(self, nonce: bytes) -> bytes:
        """server-first-message."""
        return b"r=%b,s=%b,i=%d" % (nonce, text_of(self.salt), self.iterations)

    def proof(self, auth_message: bytes) -> bytes:
        return xor(self.client_key, hmac_sha256(self.keys.stored_key, auth_message))

    def signature(self, auth_message: bytes) -> bytes:
        return hmac_sha256(self.keys.server_key, auth_message)


KNOWN = Known()


def nonce_of(server_first: bytes) -> bytes:
    return server_first.split(b",")[0][2:]


def final(known: Known, bare: bytes, challenge: bytes, channel: bytes = b"n,,", extensions: bytes = b"") -> bytes:
    """client-final-message."""
    without_proof = b"c=%b,r=%b%b" % (text_of(channel), nonce_of(challenge), extensions)
    return without_proof + b",p=" + text_of(known.proof(b",".join([bare, challenge, without_proof])))


@dataclass
class Login:
    """A client of the test's at our server: each step is what the client sends and the server makes of it."""

    known: Known = KNOWN
    header: bytes = b"n,,"
    bare: bytes = b"n=,r=" + NONCE
    end_point: bytes | None = None
    challenge: bytes = b""

    def __post_init__(self) -> None:
        self.server = scram.Server()
        self.plus = self.header.startswith(b"p")

    def first(self) -> str:
        verdict = self.server.first(self.header + self.bare, self.plus, self.plus)
        if verdict.name == OK:
            self.challenge = self.server.challenge(self.known.keys)
        return str(verdict.name)

    @property
    def channel(self) -> bytes:
        return self.header + (self.end_point or b"")

    def right_final(self, extensions: bytes = b"") -> bytes:
        return final(self.known, self.bare, self.challenge, self.channel, extensions)

    def send(self, message: bytes) -> str:
        return str(self.server.final(message, self.known.keys, self.end_point)[0].name)


def begun(**given: Any) -> Login:
    login = Login(**given)
    assert login.first() == OK
    return login


# what must work


def test_the_example_of_rfc_7677() -> None:
    known = Known(b"pencil", base64.b64decode(b"W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    bare = b"n=user,r=" + NONCE
    challenge = known.terms(NONCE + b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    sent = final(known, bare, challenge)
    assert sent.endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    auth_message = b",".join([bare, challenge, sent.rpartition(b",")[0]])
    assert text_of(known.signature(auth_message)) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert scram.derive(known.password, known.salt, known.iterations) == (known.keys, known.client_key)


@given(PASSWORDS, SALTS, ITERATIONS)
def test_keys_are_those_that_python_derives(password: bytes, salt: bytes, iterations: int) -> None:
    known = Known(password, salt, iterations)
    assert scram.derive(password, salt, iterations) == (known.keys, known.client_key)


def test_keys_that_cannot_be_derived_fit_no_password() -> None:
    keys, client_key = scram.derive(b"secret", SALT, 0)
    assert hashlib.sha256(client_key).digest() != keys.stored_key
    assert scram.derive(b"secret", SALT, 0)[0].stored_key != keys.stored_key


@given(PASSWORDS, SALTS, ITERATIONS, END_POINTS, st.sampled_from(["n", "y", "p"]))
def test_our_client_logs_in_at_our_server(
    password: bytes, salt: bytes, iterations: int, end_point: bytes, flag: str
) -> None:
    keys, client_key = scram.derive(password, salt, iterations)
    server, client, plus = scram.Server(), scram.Client(), flag == "p"
    assert server.first(client.first(plus, flag == "y"), plus, plus).name == OK
    verdict, message = client.final(server.challenge(keys), password, end_point=end_point)
    assert verdict.name == OK
    verdict, found_key, answer = server.final(message, keys, end_point)
    assert (verdict.name, found_key) == (OK, client_key)
    assert client.verify(answer).name == OK


@given(NONCES, st.sampled_from([b"", b"ann", b"a=2Cb", "ü".encode()]), st.sampled_from([b"", b",x=y", b",X=,z=a=b"]))
def test_a_client_as_the_rfc_has_it_logs_in(nonce: bytes, user: bytes, extensions: bytes) -> None:
    login = begun(bare=b"n=%b,r=%b%b" % (user, nonce, extensions))
    assert login.challenge.startswith(b"r=" + nonce)
    assert login.challenge == KNOWN.terms(nonce_of(login.challenge))
    verdict, client_key, answer = login.server.final(login.right_final(extensions), KNOWN.keys)
    assert (verdict.name, client_key) == (OK, KNOWN.client_key)
    auth_message = b",".join([login.bare, login.challenge, login.right_final(extensions).rpartition(b",")[0]])
    assert answer == b"v=" + text_of(KNOWN.signature(auth_message))


@given(PASSWORDS, SALTS, ITERATIONS, NONCES, st.sampled_from([b"n,,", b"y,,", PLUS_HEADER]), END_POINTS)
def test_our_client_logs_in_at_a_server_as_the_rfc_has_it(
    password: bytes, salt: bytes, iterations: int, nonce: bytes, header: bytes, end_point: bytes
) -> None:
    known, client = Known(password, salt, iterations), scram.Client()
    first = client.first(plus=header == PLUS_HEADER, tls=header == b"y,,")
    bare = first.removeprefix(header)
    assert bare.startswith(b"n=,r=")
    challenge = known.terms(bare[5:] + nonce)
    channel = header + end_point * (header == PLUS_HEADER)
    verdict, message = client.final(challenge, password, end_point=end_point)
    assert (verdict.name, message) == (OK, final(known, bare, challenge, channel))
    auth_message = b",".join([bare, challenge, message.rpartition(b",")[0]])
    assert client.verify(b"v=" + text_of(known.signature(auth_message))).name == OK


def test_a_client_who_has_the_keys_needs_no_password() -> None:
    server, client = scram.Server(), scram.Client()
    server.first(client.first())
    verdict, message = client.final(server.challenge(KNOWN.keys), keys=KNOWN.keys, client_key=KNOWN.client_key)
    assert verdict.name == OK
    verdict, client_key, answer = server.final(message, KNOWN.keys)
    assert (verdict.name, client_key, client.verify(answer).name) == (OK, KNOWN.client_key, OK)


@pytest.mark.parametrize(
    "other", [Known(iterations=3), Known(salt=b"sixteen byte sal!"), Known(salt=b"Sixteen byte sal"), Known(salt=b"s")]
)
def test_keys_of_another_salt_or_other_iterations_are_of_no_use(other: Known) -> None:
    client = scram.Client()
    challenge = other.terms(client.first()[8:] + b"more")
    assert client.final(challenge, keys=KNOWN.keys, client_key=KNOWN.client_key)[0].name == WRONG
    assert client.final(challenge, keys=KNOWN.keys)[0].name == WRONG
    assert client.final(challenge)[0].name == WRONG
    assert client.final(challenge, keys=other.keys, client_key=other.client_key)[0].name == OK


def test_no_nonce_comes_twice() -> None:
    server, client = scram.Server(), scram.Client()
    sent = {client.first() for _ in range(200)}
    assert len(sent) == 200
    assert server.first(sent.pop()).name == OK
    assert len({server.challenge(KNOWN.keys) for _ in range(200)}) == 200


# users there are not


def test_a_user_who_is_not_there_gets_the_same_salt_each_time_and_no_password_fits() -> None:
    secret = os.urandom(32)
    keys = scram.mock(secret, b"nobody", 4096)
    assert keys == scram.mock(secret, b"nobody", 4096)
    assert (keys.iterations, len(keys.salt)) == (4096, 16)
    server, client = scram.Server(), scram.Client()
    server.first(client.first())
    verdict, message = client.final(server.challenge(keys), b"secret")
    assert (verdict.name, server.final(message, keys)[0].name) == (OK, WRONG)


def test_salts_of_users_who_are_not_there_tell_nothing() -> None:
    secret, other = os.urandom(32), os.urandom(32)
    found = [scram.mock(key, user, 2) for key in (secret, other) for user in (b"", b"a", b"b", b"b" * 5000)]
    values = [value for keys in found for value in keys[1:]]
    assert all(a[:16] != b[:16] for a, b in combinations(values, 2))


# who does not know the password


@given(PASSWORDS)
def test_a_wrong_password_is_wrong(password: bytes) -> None:
    assume(password.rstrip(b"\0") != KNOWN.password)
    login = begun()
    sent = final(Known(password), login.bare, login.challenge)
    assert login.send(sent) == WRONG
    assert login.send(login.right_final()) == OK


@given(PASSWORDS)
def test_a_server_that_does_not_know_the_password_is_found_out(password: bytes) -> None:
    assume(password.rstrip(b"\0") != KNOWN.password)
    client = scram.Client()
    bare = client.first()[3:]
    challenge = KNOWN.terms(bare[5:] + b"more")
    message = client.final(challenge, KNOWN.password)[1]
    auth_message = b",".join([bare, challenge, message.rpartition(b",")[0]])
    assert client.verify(b"v=" + text_of(Known(password).signature(auth_message))).name == WRONG
    assert client.verify(b"v=" + text_of(KNOWN.signature(auth_message))).name == OK


def test_the_answer_to_one_challenge_is_wrong_for_another() -> None:
    login = begun()
    sent = login.right_final()
    assert login.first() == OK
    assert login.send(sent) == MALFORMED  # the nonce is another


def test_keys_that_changed_since_the_challenge_are_wrong() -> None:
    login = begun()
    sent = login.right_final()
    for changed in (Known(salt=b"other"), Known(iterations=3), Known(password=b"new")):
        assert login.server.final(sent, changed.keys)[0].name == WRONG


# changes on the way

FLIPS = st.tuples(st.sampled_from(["put", "insert", "drop", "cut", "double"]), st.integers(0), st.integers(0, 255))


def changed(message: bytes, change: tuple[str, int, int]) -> bytes:
    kind, at, byte = change
    at %= len(message)
    parts = {
        "put": message[:at] + bytes([byte]) + message[at + 1 :],
        "insert": message[:at] + bytes([byte]) + message[at:],
        "drop": message[:at] + message[at + 1 :],
        "cut": message[:at],
        "double": message[:at] + message[at:] * 2,
    }
    return parts[kind]


@settings(max_examples=400)
@given(st.sampled_from(["first", "challenge", "final", "answer"]), FLIPS, st.sampled_from(["n", "y", "p"]))
def test_no_login_survives_a_message_that_was_changed(which: str, change: tuple[str, int, int], flag: str) -> None:
    def carried(name: str, message: bytes) -> bytes:
        found = changed(message, change) if name == which else message
        assume((found == message) == (name != which))
        return found

    server, client, plus, end_point = scram.Server(), scram.Client(), flag == "p", b"e" * 32
    first = carried("first", client.first(plus, flag == "y"))
    if server.first(first, plus, plus).name != OK:
        return
    verdict, message = client.final(carried("challenge", server.challenge(KNOWN.keys)), b"secret", end_point=end_point)
    if verdict.name != OK:
        return
    verdict, _, answer = server.final(carried("final", message), KNOWN.keys, end_point)
    if verdict.name != OK:
        return
    assert client.verify(carried("answer", answer)).name in {MALFORMED, WRONG, "SCRAM_SERVER_ERROR"}


def test_every_cut_of_every_message_is_malformed() -> None:
    login, client = begun(), scram.Client()
    bare = client.first()[3:]
    challenge = KNOWN.terms(bare[5:] + b"more")
    for at in range(len(login.header) + 6):  # behind that a shorter nonce begins
        assert scram.Server().first((login.header + login.bare)[:at]).name == MALFORMED
    sent = login.right_final()
    for at in range(len(sent)):
        assert login.send(sent[:at]) in {MALFORMED, BINDING if at < 6 else MALFORMED}
    for at in range(len(challenge)):
        assert client.final(challenge[:at], b"secret")[0].name == MALFORMED
    for at in range(46):
        assert client.verify((b"v=" + text_of(bytes(32)))[:at]).name == MALFORMED


def test_a_nul_anywhere_is_malformed() -> None:
    login, client = begun(), scram.Client()
    bare = client.first()[3:]
    challenge, first, sent = KNOWN.terms(bare[5:] + b"more"), login.header + login.bare, login.right_final(b",x=y")
    for at in range(len(first) + 1):
        assert scram.Server().first(first[:at] + b"\0" + first[at:]).name == MALFORMED
    for at in range(len(sent) + 1):
        assert login.send(sent[:at] + b"\0" + sent[at:]) == MALFORMED
    for at in range(len(challenge) + 1):
        assert client.final(challenge[:at] + b"\0" + challenge[at:], b"secret")[0].name == MALFORMED


# channel binding


@pytest.mark.parametrize(
    "header,plus,plus_offered,verdict",
    [
        (b"n,,", False, False, OK),
        (b"n,,", False, True, OK),  # a client that cannot bind
        (b"y,,", False, False, OK),
        (b"y,,", False, True, BINDING),  # it could, and did not see our offer
        (PLUS_HEADER, True, True, OK),
        (PLUS_HEADER, False, True, MALFORMED),  # bound, but chose the mechanism without
        (PLUS_HEADER, True, False, MALFORMED),  # chose what was not offered
        (b"n,,", True, True, MALFORMED),
        (b"y,,", True, True, MALFORMED),
        (b"n,,", True, False, MALFORMED),
        (b"p=tls-unique,,", True, True, MALFORMED),
        (b"p=tls-exporter,,", True, True, MALFORMED),
        (b"p=,,", True, True, MALFORMED),
        (b"p,,", True, True, MALFORMED),
        (b"p=tls-server-end-point", True, True, MALFORMED),
        (b"p=tls-server-end-point2,,", True, True, MALFORMED),
    ],
)
def test_what_a_client_may_say_about_channel_binding(
    header: bytes, plus: bool, plus_offered: bool, verdict: str
) -> None:
    assert scram.Server().first(header + b"n=,r=" + NONCE, plus, plus_offered).name == verdict


@given(END_POINTS, END_POINTS)
def test_a_login_bound_to_another_certificate_is_refused(ours: bytes, theirs: bytes) -> None:
    assume(ours != theirs)
    login = begun(header=PLUS_HEADER, end_point=ours)
    assert login.send(final(KNOWN, login.bare, login.challenge, PLUS_HEADER + theirs)) == BINDING
    assert login.send(login.right_final()) == OK


@pytest.mark.parametrize("header", [b"n,,", b"y,,", PLUS_HEADER])
@pytest.mark.parametrize("channel", [b"", b"n,,", b"y,,", b"n,,x", PLUS_HEADER, PLUS_HEADER + b"e" * 32])
def test_the_header_must_be_repeated_as_it_was(header: bytes, channel: bytes) -> None:
    login = begun(header=header, end_point=b"e" * 32)
    right = header + b"e" * 32 * (header == PLUS_HEADER)
    assert login.send(final(KNOWN, login.bare, login.challenge, channel)) == (OK if channel == right else BINDING)


@pytest.mark.parametrize("end_point", [None, b"", b"e" * 65])
def test_without_a_certificates_hash_nothing_is_bound(end_point: bytes | None) -> None:
    login = begun(header=PLUS_HEADER, end_point=end_point)
    assert login.send(login.right_final()) == BINDING
    client = scram.Client()
    challenge = KNOWN.terms(client.first(plus=True).removeprefix(PLUS_HEADER + b"n=,r=") + b"more")
    assert client.final(challenge, b"secret", end_point=end_point)[0].name == BINDING


# messages that are nearly right


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n",
        b"n,",
        b"n,,",
        b"n,,n=",
        b"n,,n=,",
        b"n,,n=,r",
        b"n,,n=,r=",
        b"n,,r=abc",
        b"n,,r=abc,n=",
        b"n,,n=,n=,r=abc",
        b"n,,n=,r=abc,",
        b"n,,n=,r=abc,,x=y",
        b"n,,n=,r=abc,x",
        b"n,,n=,r=abc,1=y",
        b"n,,n=,r=abc,r=abc",
        b"n,,n=,r=abc,n=ann",
        b"n,,n=,r=abc,m=y",
        b"n,,n=,r=abc,p=y",
        b"n,x,n=,r=abc",
        b"n,n=,r=abc",
        b"N,,n=,r=abc",
        b"x,,n=,r=abc",
        b",,n=,r=abc",
        b" n,,n=,r=abc",
        b"n=,r=abc",
        b"n,,n=,r=a c",
        b"n,,n=,r=a\x7fc",
        b"n,,n=,r=a\xc3\xa4",
        b"n,,n=,r=a\nc",
        b"n,,n=,r=" + b"x" * (1024 - 7),
    ],
)
def test_first_messages_that_are_malformed(message: bytes) -> None:
    assert scram.Server().first(message).name == MALFORMED


@pytest.mark.parametrize("message", [b"n,,m=x,n=,r=abc", b"n,a=root,n=,r=abc", b"y,a=,n=,r=abc"])
def test_identities_and_mandatory_extensions_are_told_apart(message: bytes) -> None:
    assert scram.Server().first(message).name == "SCRAM_UNSUPPORTED"


def test_the_longest_first_message_is_answered() -> None:
    login = begun(bare=b"n=,r=" + b"x" * 900)
    assert login.send(login.right_final()) == OK


@pytest.mark.parametrize("size", [*range(32), *range(33, 70)])
def test_a_proof_of_another_length_is_malformed(size: int) -> None:
    login = begun()
    front = login.right_final().rpartition(b",")[0]
    assert login.send(front + b",p=" + text_of(b"x" * size)) == MALFORMED


@pytest.mark.parametrize(
    "message",
    [
        "",
        "c=biws",
        "c=biws,",
        "c=biws,r={nonce}",
        "c=biws,r={nonce},",
        "c=biws,r={nonce},{proof},",
        "c=biws,r={nonce},{proof},x=y",
        "c=biws,r={nonce},{proof},{proof}",
        "c=biws,r={nonce},r={nonce},{proof}",
        "c=biws,r={nonce},c=biws,{proof}",
        "c=biws,r={nonce},m=x,{proof}",
        "c=biws,r={nonce},,{proof}",
        "c=biws,r={nonce},x,{proof}",
        "c=biws,{proof}",
        "c=biws,x=y,r={nonce},{proof}",
        "c=biws,r={nonce}x,{proof}",
        "c=biws,r=,{proof}",
        "c=biws,r={ours},{proof}",
        "c=biws,r={its},{proof}",
        "c=biws,r={ours}{its},{proof}",
        "r={nonce},c=biws,{proof}",
        "r={nonce},{proof}",
        "{proof}",
        "C=biws,r={nonce},{proof}",
        "c=biws,r={nonce},P=x",
        "x=y,c=biws,r={nonce},{proof}",
    ],
)
def test_final_messages_that_are_malformed(message: str) -> None:
    login = begun()
    nonce = nonce_of(login.challenge).decode()
    proof = login.right_final().rpartition(b",")[2].decode()
    sent = message.format(nonce=nonce, proof=proof, its=nonce[:20], ours=nonce[20:])
    assert login.send(sent.encode()) == MALFORMED


@pytest.mark.parametrize("channel", ["", "b!ws", "biw", "biws=", "biws ", "Biws", "biwsbiws"])
def test_a_binding_that_is_no_base64_of_the_header_is_refused(channel: str) -> None:
    login = begun()
    assert login.send(login.right_final().replace(b"c=biws", b"c=" + channel.encode())) == BINDING


def test_extensions_before_the_proof_are_allowed_up_to_the_largest_message() -> None:
    login = begun()
    room = 1024 - len(login.right_final(b",x="))
    assert login.send(login.right_final(b",x=" + b"y" * room)) == OK
    assert login.send(login.right_final(b",x=" + b"y" * (room + 1))) == MALFORMED


@pytest.mark.parametrize(
    "message",
    [
        "r={nonce}more,s={salt}",
        "r={nonce}more,s={salt},",
        "r={nonce}more,s={salt},i=",
        "r={nonce}more,s={salt},i=0",
        "r={nonce}more,s={salt},i=01",
        "r={nonce}more,s={salt},i=-1",
        "r={nonce}more,s={salt},i=+1",
        "r={nonce}more,s={salt},i= 1",
        "r={nonce}more,s={salt},i=1 ",
        "r={nonce}more,s={salt},i=0x1",
        "r={nonce}more,s={salt},i=1.5",
        "r={nonce}more,s={salt},i=1000001",
        "r={nonce}more,s={salt},i=4294967297",
        "r={nonce}more,s={salt},i=99999999999999999999999999",
        "r={nonce}more,s={salt},i=1,",
        "r={nonce}more,s={salt},i=1,x=y",
        "r={nonce}more,s={salt},i=1,i=1",
        "r={nonce}more,i=1,s={salt}",
        "r={nonce}more,i=1",
        "r={nonce}more,s=,i=1",
        "r={nonce}more,s=====,i=1",
        "r={nonce}more,s={salt}=,i=1",
        "r={nonce}more,s=c2Fsd,i=1",
        "r={nonce}more,s=c2FsdB==,i=1",
        "r={nonce}more,s={long},i=1",
        "r={nonce},s={salt},i=1",
        "r={nonce}mo re,s={salt},i=1",
        "r={nonce}m\x7fre,s={salt},i=1",
        "r=more{nonce},s={salt},i=1",
        "r=x{nonce},s={salt},i=1",
        "r=more,s={salt},i=1",
        "r=,s={salt},i=1",
        "s={salt},i=1",
        "m=x,r={nonce}more,s={salt},i=1",
        "e=unknown-user",
        "v={salt}",
        "",
    ],
)
def test_challenges_that_are_malformed(message: str) -> None:
    client = scram.Client()
    nonce = client.first()[8:].decode()
    sent = message.format(nonce=nonce, salt=text_of(SALT).decode(), long=text_of(b"x" * 65).decode())
    assert client.final(sent.encode(), b"secret")[0].name == MALFORMED
    right = f"r={nonce}more,s={text_of(SALT).decode()},i=1"
    assert client.final(right.encode(), b"secret")[0].name == OK


def test_a_challenge_may_be_as_long_as_postgresqls_longest() -> None:
    client = scram.Client()
    nonce = client.first()[8:]
    room = 1024 - len(KNOWN.terms(nonce))
    assert client.final(KNOWN.terms(nonce + b"x" * room), b"secret", end_point=b"e" * 64)[0].name == OK
    assert client.final(KNOWN.terms(nonce + b"x" * (room + 1)), b"secret")[0].name == MALFORMED


@pytest.mark.parametrize(
    "message,verdict",
    [
        (b"e=invalid-proof", "SCRAM_SERVER_ERROR"),
        (b"e=other-error,x=y", "SCRAM_SERVER_ERROR"),
        (b"v=" + text_of(b"x" * 32), WRONG),
        (b"v=" + text_of(b"x" * 31), MALFORMED),
        (b"v=" + text_of(b"x" * 33), MALFORMED),
        (b"v=", MALFORMED),
        (b"", MALFORMED),
        (b"x=y", MALFORMED),
        (b"e", MALFORMED),
    ],
)
def test_what_a_server_may_say_last(message: bytes, verdict: str) -> None:
    client = scram.Client()
    challenge = KNOWN.terms(client.first()[8:] + b"more")
    assert client.final(challenge, b"secret")[0].name == OK
    assert client.verify(message).name == verdict


def test_a_server_that_signs_before_it_was_given_a_proof_is_wrong() -> None:
    client = scram.Client()
    challenge = KNOWN.terms(client.first()[8:] + b"more")
    nothing = b"v=" + text_of(bytes(32))
    assert client.verify(nothing).name == WRONG
    assert client.final(challenge, b"secret")[0].name == OK
    assert client.final(b"r=", b"secret")[0].name == MALFORMED
    assert client.verify(nothing).name == WRONG


def test_without_room_nothing_is_written() -> None:
    login, client = begun(), scram.Client()
    for room in range(len(login.challenge)):
        assert login.server.challenge(KNOWN.keys, room) is None
    for room in range(len(client.first())):
        assert client.first(room=room) is None
    assert login.first() == OK
    for room in range(46):
        assert login.server.final(login.right_final(), KNOWN.keys, room=room)[2] is None
