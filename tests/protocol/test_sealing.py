"""Sealed words: readable at the two ends, and nowhere between."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwe import JWERegistry, encrypt_compact
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from omniid.errors import EXIT_CONFIG, OmniidError, ProtocolError
from omniid.protocol.messages import CommandFrame, CommandPayload, dump, encode, parse_client_frame
from omniid.protocol.sealing import (
    ALGORITHM,
    ENCRYPTION,
    LARGEST_SEALED_BYTES,
    Sealer,
    SealingError,
    Unsealer,
)

Key = ECKey | OKPKey
KEYS: dict[str, Key] = {
    "P-256": ECKey.generate_key("P-256"),
    "P-384": ECKey.generate_key("P-384"),
    "P-521": ECKey.generate_key("P-521"),
    "X25519": OKPKey.generate_key("X25519"),
}
RSA = RSAKey.generate_key(2048)
WORDS = "Write to Ann that the surprise is at eight"
DATA = {"message": "Done", "metadata": {"suggestions": ["Shall I call her?"]}, "n": [1, 2.5, None]}


def jwk(key: Any, *, private: bool = False, **changes: Any) -> dict[str, Any]:
    return {**key.as_dict(private=private), **changes}


def pem(key: Any, *, private: bool = False) -> str:
    text: bytes = key.as_pem(private=private)
    return text.decode()


def ends(curve: str = "P-256") -> tuple[Sealer, Unsealer]:
    key = KEYS[curve]
    return (
        Sealer.from_key_text(json.dumps(jwk(key))),
        Unsealer.from_key_text(json.dumps(jwk(key, private=True))),
    )


def header_of(sealed: str) -> dict[str, Any]:
    segment = sealed.split(".", maxsplit=1)[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return header


# --- both directions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", KEYS)
def test_a_command_and_its_reply_go_there_and_back(curve: str) -> None:
    sealer, unsealer = ends(curve)

    message, metadata, reply_key = unsealer.open_command(sealer.seal(WORDS, {"confidence": 0.9, "é": ["😀"]}))
    sealed_reply = unsealer.seal_reply(DATA, reply_key)

    assert (message, metadata) == (WORDS, {"confidence": 0.9, "é": ["😀"]})
    assert sealer.open(sealed_reply) == DATA


def test_a_command_without_metadata_has_none() -> None:
    sealer, unsealer = ends()

    assert unsealer.open_command(sealer.seal("", None))[:2] == ("", None)
    assert unsealer.open_command(sealer.seal("", {}))[:2] == ("", {})


@given(st.text(), st.none() | st.dictionaries(st.text(), st.text() | st.integers(), max_size=4))
@settings(max_examples=60, deadline=None)
def test_any_words_go_there_and_back(message: str, metadata: dict[str, Any] | None) -> None:
    assert UNSEALER.open_command(SEALER.seal(message, metadata))[:2] == (message, metadata)


def test_the_seal_is_the_one_of_the_protocol() -> None:
    sealer, unsealer = ends()
    sealed = sealer.seal(WORDS, None)

    for each in (sealed, unsealer.seal_reply(DATA, unsealer.open_command(sealed)[2])):
        header = header_of(each)
        assert (header["alg"], header["enc"]) == ("ECDH-ES+A256KW", "A256GCM")
        assert "zip" not in header
        assert each.count(".") == 4


def test_no_two_seals_are_alike() -> None:
    sealer, _ = ends()

    pieces = [sealer.seal(WORDS, None).split(".") for _ in range(5)]

    for place in range(5):
        assert len({each[place] for each in pieces}) == 5


def test_the_recipient_is_told_which_of_its_keys_was_used() -> None:
    key = KEYS["P-256"]
    named = Sealer.from_key_text(json.dumps(jwk(key, kid="2026-03", use="enc", alg=ALGORITHM)))

    assert header_of(named.seal(WORDS, None))["kid"] == "2026-03"
    assert Unsealer(key).open_command(named.seal(WORDS, None))[0] == WORDS


def test_a_reply_can_be_read_by_the_process_that_asked_and_by_no_other() -> None:
    asked, unsealer = ends()
    other, _ = ends()
    sealed = unsealer.seal_reply(DATA, unsealer.open_command(asked.seal(WORDS, None))[2])

    with pytest.raises(SealingError) as caught:
        other.open(sealed)
    assert caught.value.code == "tampered"
    assert asked.open(sealed) == DATA


def test_what_the_reply_is_sealed_to_is_public() -> None:
    sealer, unsealer = ends()

    reply_key = unsealer.open_command(sealer.seal(WORDS, None))[2]

    assert not reply_key.is_private


# --- in the frame ------------------------------------------------------------------------------------------

FIELDS = {
    "commandType": "voice_command",
    "userId": "ann",
    "userTimezone": "Europe/Berlin",
    "localDatetime": "2026-03-01T13:00:00.000+01:00",
    "requestId": "0195-1",
}


def sealed_frame() -> CommandFrame:
    sealed = SEALER.seal(WORDS, {"confidence": 0.9375, "place": "Unter den Linden"})
    return CommandFrame(payload=CommandPayload.model_validate({**FIELDS, "sealed": sealed}), timestamp=7)


def test_the_clear_words_are_nowhere_in_the_frame() -> None:
    frame = sealed_frame()
    text = encode(frame)

    pieces = [base64.urlsafe_b64decode(each + "===") for each in str(frame.payload.sealed).split(".")]
    for secret in [WORDS, "surprise", "confidence", "0.9375", "Unter den", "replyKey"]:
        assert secret not in text
        assert not any(secret.encode() in piece for piece in pieces)
    assert set(dump(frame)["payload"]) == {*FIELDS, "sealed"}


def test_a_server_reads_a_sealed_command_in_the_exact_form() -> None:
    frame = sealed_frame()

    read = parse_client_frame(encode(frame))

    assert read == frame
    assert isinstance(read, CommandFrame)
    assert UNSEALER.open_command(str(read.payload.sealed))[0] == WORDS


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param({}, "either", id="nothing"),
        pytest.param({"metadata": {}}, "either", id="metadata alone"),
        pytest.param({"message": "x", "sealed": "y"}, "either", id="both"),
        pytest.param({"sealed": "y", "metadata": {"a": 1}}, "no metadata in clear", id="metadata in clear"),
        pytest.param({"sealed": 5}, "sealed", id="a seal that is a number"),
    ],
)
def test_a_command_says_its_words_once(words: dict[str, Any], problem: str) -> None:
    text = json.dumps({"type": "command", "payload": {**FIELDS, **words}, "timestamp": 7})

    with pytest.raises(ProtocolError, match=problem):
        parse_client_frame(text)


def test_who_seals_nothing_loads_nothing_heavy() -> None:
    script = (
        "import sys; import omniid.protocol.sealing;"
        "print(sorted(sys.modules.keys() & {'joserfc', 'cryptography'}))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


# --- keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("curve", KEYS)
def test_a_key_is_read_in_each_of_its_forms(curve: str) -> None:
    key = KEYS[curve]
    public = [
        json.dumps(jwk(key)),
        json.dumps({"keys": [jwk(key)]}, indent=2),
        "\ufeff\n" + json.dumps(jwk(key)) + "\n\n",
        pem(key),
        "the key of ann\n" + pem(key).replace("\n", "\r\n"),
    ]
    private = [
        json.dumps(jwk(key, private=True)),
        json.dumps({"keys": [jwk(key, private=True)]}),
        pem(key, private=True),
    ]

    for text in public:
        assert Unsealer(key).open_command(Sealer.from_key_text(text).seal(WORDS, None))[0] == WORDS
    sealed = Sealer.from_key_text(public[0]).seal(WORDS, None)
    for text in private:
        assert Unsealer.from_key_text(text).open_command(sealed)[0] == WORDS


EC = KEYS["P-256"]
OTHER_POINT = jwk(KEYS["P-256"])["x"]
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
BROKEN_PEM = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----"
BAD_KEYS = [
    pytest.param("", "empty", id="nothing"),
    pytest.param(" \n\t", "empty", id="blanks"),
    pytest.param("hunter2 is no key", "neither JSON nor PEM", id="rubbish"),
    pytest.param("NaN", "neither JSON nor PEM", id="no number"),
    pytest.param("[" * 50_000, "neither JSON nor PEM", id="an abyss"),
    pytest.param("x" * 100_000, "too long", id="a book"),
    pytest.param('"hunter2"', "no JWK", id="JSON text"),
    pytest.param("{}", "kind", id="an empty object"),
    pytest.param('{"kty":["EC"],"crv":{}}', "kind", id="a kind that is a list"),
    pytest.param('{"keys":[]}', "0 keys", id="an empty set"),
    pytest.param(json.dumps({"keys": [jwk(EC), jwk(EC)]}), "2 keys", id="a set of two"),
    pytest.param('{"keys":["hunter2"]}', "no JWK", id="a set of text"),
    pytest.param(json.dumps(jwk(RSA)), "RSA", id="RSA as JWK"),
    pytest.param(json.dumps(jwk(RSA, private=True)), "RSA", id="private RSA as JWK"),
    pytest.param(pem(RSA), "RSA", id="RSA as PEM"),
    pytest.param(pem(RSA, private=True), "private key", id="private RSA as PEM"),
    pytest.param(
        json.dumps(OctKey.generate_key(256).as_dict(private=True)), "secret that both", id="a shared secret"
    ),
    pytest.param(json.dumps(jwk(EC, private=True)), "private key", id="private EC as JWK"),
    pytest.param(json.dumps({"keys": [jwk(EC, private=True)]}), "private key", id="private EC in a set"),
    pytest.param(pem(EC, private=True), "private key", id="private EC as PEM"),
    pytest.param(pem(KEYS["X25519"], private=True), "private key", id="private X25519 as PEM"),
    pytest.param(json.dumps(jwk(OKPKey.generate_key("Ed25519"))), "kind", id="Ed25519, which only signs"),
    pytest.param(pem(OKPKey.generate_key("Ed25519")), "kind", id="Ed25519 as PEM"),
    pytest.param(json.dumps(jwk(ECKey.generate_key("secp256k1"))), "kind", id="a curve of coins"),
    pytest.param(pem(ECKey.generate_key("secp256k1")), "kind", id="a curve of coins as PEM"),
    pytest.param(json.dumps(jwk(EC, use="sig")), "another use", id="a key that is for signing"),
    pytest.param(json.dumps(jwk(EC, alg="ECDH-ES")), "another use", id="a key of another algorithm"),
    pytest.param(json.dumps(jwk(EC, kid="k" * 201)), "kid", id="a name too long"),
    pytest.param(json.dumps(jwk(EC, kid=5)), "kid", id="a name that is a number"),
    pytest.param(json.dumps(jwk(EC, y=OTHER_POINT)), "damaged", id="a point off its curve"),
    pytest.param(json.dumps(jwk(EC, x="")), "damaged", id="a point without x"),
    pytest.param(json.dumps({"kty": "EC", "crv": "P-256", "x": OTHER_POINT}), "damaged", id="half a point"),
    pytest.param('{"kty":"OKP","crv":"X25519","x":"hunter2"}', "damaged", id="X25519 of 5 bytes"),
    pytest.param('{"kty":"OKP","crv":"X25519","x":"é"}', "damaged", id="X25519 that is no base64"),
    pytest.param('{"kty":"OKP","crv":"X25519","x":7}', "damaged", id="X25519 that is a number"),
    pytest.param(
        json.dumps({"kty": "OKP", "crv": "X25519", "x": "A" * 43}), "trap", id="a point that gives no secret"
    ),
    pytest.param(CERTIFICATE, "certificate", id="a certificate"),
    pytest.param(BROKEN_PEM, "PEM cannot be read", id="a broken PEM"),
]


@pytest.mark.parametrize(("text", "what"), BAD_KEYS)
def test_a_key_that_cannot_seal_is_refused_with_what_to_do_and_without_its_text(text: str, what: str) -> None:
    with pytest.raises(SealingError, match=what) as caught:
        Sealer.from_key_text(text)

    error = caught.value
    assert isinstance(error, OmniidError)
    assert (error.code, error.exit_code) == ("bad_seal_key", EXIT_CONFIG)
    assert error.__cause__ is None
    assert error.message.endswith(".")
    assert len(error.message) < 300
    for secret in ("hunter2", *(jwk(EC, private=True)[name] for name in ("x", "y", "d")), "MII", "k" * 50):
        assert secret not in error.message


@pytest.mark.parametrize("text", [json.dumps(jwk(EC)), pem(EC)], ids=["JWK", "PEM"])
def test_the_recipient_is_told_that_it_was_given_the_wrong_half(text: str) -> None:
    with pytest.raises(SealingError, match="opens nothing"):
        Unsealer.from_key_text(text)


def test_a_private_key_under_a_password_is_refused() -> None:
    locked = EC.as_pem(private=True, password="hunter2").decode()

    with pytest.raises(SealingError, match="password"):
        Unsealer.from_key_text(locked)


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")) | st.recursive(
    st.none() | st.integers() | st.text() | st.sampled_from(["EC", "OKP", "P-256", "X25519", OTHER_POINT]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "kid", "use", "alg", "keys"]), inner),
).map(json.dumps))  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_no_text_brings_another_error(text: str) -> None:
    with pytest.raises(SealingError):
        Sealer.from_key_text(text)


# --- tampering ---------------------------------------------------------------------------------------------

SEALER, UNSEALER = ends()
REPLY_KEY = UNSEALER.open_command(SEALER.seal(WORDS, None))[2]
SEALED_REPLY = UNSEALER.seal_reply(DATA, REPLY_KEY)
X_SEALER, X_UNSEALER = ends("X25519")
X_SEALED = X_SEALER.seal(WORDS, None)
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def refuse(sealed: str, sealer: Sealer = SEALER) -> str:
    """See that a sealed text is refused as tampered; returns the message."""
    with pytest.raises(SealingError) as caught:
        sealer.open(sealed)
    assert caught.value.code == "tampered"
    return caught.value.message


def test_not_one_letter_can_be_changed() -> None:
    for place, letter in enumerate(SEALED_REPLY):
        for other in {BASE64[BASE64.find(letter) ^ 1], BASE64[BASE64.find(letter) ^ 32], "."} - {letter}:
            refuse(SEALED_REPLY[:place] + other + SEALED_REPLY[place + 1 :])


@given(st.data())
@settings(max_examples=500, deadline=None)
def test_whichever_byte_is_changed_it_is_refused_and_never_with_another_error(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SEALED_REPLY) - 1))
    letter = data.draw(st.sampled_from(BASE64 + ".=+/ \n\x00~") | st.characters())
    if letter != SEALED_REPLY[place]:
        refuse(SEALED_REPLY[:place] + letter + SEALED_REPLY[place + 1 :])


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_command_is_refused_by_the_recipient(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(X_SEALED) - 1))
    letter = data.draw(st.sampled_from(BASE64 + ".=+/ \n"))
    if letter != X_SEALED[place]:
        with pytest.raises(SealingError) as caught:
            X_UNSEALER.open_command(X_SEALED[:place] + letter + X_SEALED[place + 1 :])
        assert caught.value.code == "tampered"


@given(st.integers(0, len(SEALED_REPLY) - 1), st.integers(1, len(SEALED_REPLY)))
@settings(max_examples=200, deadline=None)
def test_a_piece_that_is_cut_out_is_missed(start: int, length: int) -> None:
    refuse(SEALED_REPLY[:start] + SEALED_REPLY[start + length :])


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_any_other_text_is_refused(text: str) -> None:
    refuse(text)


def test_pieces_of_two_seals_do_not_make_one() -> None:
    one, two = (UNSEALER.seal_reply(DATA, REPLY_KEY).split(".") for _ in range(2))

    for place in range(5):
        refuse(".".join([*one[:place], two[place], *one[place + 1 :]]))


ANY_HEADER_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["EC", "P-256", "DEF"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)
HEADER_NAMES = st.sampled_from(
    ["alg", "enc", "epk", "zip", "crit", "kid", "apu", "apv", "typ", "jwk", "jku", "x5c", "p2c", "b64", "iv"]
)


@given(st.dictionaries(HEADER_NAMES, ANY_HEADER_VALUE), st.booleans(), st.data())
@settings(max_examples=400, deadline=None)
def test_any_other_header_is_refused(changes: dict[str, Any], keep: bool, data: st.DataObject) -> None:
    genuine = header_of(SEALED_REPLY)
    header: Any = {**genuine, **changes} if keep else changes
    if data.draw(st.booleans()):
        ephemeral = data.draw(
            st.dictionaries(
                st.sampled_from(["kty", "crv", "x", "y", "d", "use", "key_ops"]), ANY_HEADER_VALUE
            )
        )
        header = {**header, "epk": {**genuine["epk"], **ephemeral}}
    segment = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    if segment != SEALED_REPLY.split(".", maxsplit=1)[0]:
        refuse(".".join([segment, *SEALED_REPLY.split(".")[1:]]))


@pytest.mark.parametrize("header", ["[]", '"alg enc epk"', "5", "null", "[" * 700, "{", '{"alg":NaN}', ""])
def test_a_header_that_is_none_is_refused(header: str) -> None:
    segment = base64.urlsafe_b64encode(header.encode()).decode().rstrip("=")

    refuse(".".join([segment, *SEALED_REPLY.split(".")[1:]]))


def sealed_with(plaintext: bytes, key: Any = REPLY_KEY, **header: Any) -> str:
    """What someone who has the key, and another idea of the protocol, would send."""
    algorithms = [header.get("alg", ALGORITHM), header.get("enc", ENCRYPTION), "DEF"]
    registry = JWERegistry(algorithms=algorithms)
    return encrypt_compact({"alg": ALGORITHM, "enc": ENCRYPTION, **header}, plaintext, key, registry=registry)


GOOD = json.dumps(DATA).encode()


def test_what_stands_for_the_others_here_does_open_when_it_keeps_to_the_protocol() -> None:
    assert SEALER.open(sealed_with(GOOD)) == DATA
    assert SEALER.open(sealed_with(GOOD, kid="x", typ="JOSE", cty="json", apu="QQ", apv="Qg")) == DATA


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "ECDH-ES"},
        {"alg": "ECDH-ES+A128KW"},
        {"alg": "ECDH-ES+A192KW"},
        {"enc": "A128GCM"},
        {"enc": "A192GCM"},
        {"enc": "A128CBC-HS256"},
        {"enc": "A256CBC-HS512"},
        {"zip": "DEF"},
        {"crit": ["kid"], "kid": "x"},
        {"jku": "https://example.org/keys"},
        {"kid": "x" * 5_000},
    ],
    ids=str,
)
def test_genuine_seals_of_any_other_making_are_refused(header: dict[str, Any]) -> None:
    refuse(sealed_with(GOOD, **header))


@pytest.mark.parametrize(
    "key",
    [ECKey.generate_key("P-256"), KEYS["P-384"], KEYS["X25519"], OKPKey.generate_key("X448")],
    ids=["another", "P-384", "X25519", "X448"],
)
def test_a_genuine_seal_for_another_key_is_refused(key: Key) -> None:
    refuse(sealed_with(GOOD, key))


def test_a_seal_with_a_key_that_is_no_ephemeral_key_is_refused() -> None:
    oct_key = OctKey.generate_key(256)
    refuse(sealed_with(GOOD, oct_key, alg="A256KW"))
    refuse(sealed_with(GOOD, oct_key, alg="dir"))
    refuse(sealed_with(GOOD, RSA, alg="RSA-OAEP"))


@pytest.mark.parametrize(
    "plaintext", [b"", b"[]", b"5", b"null", b'"text"', b"hello", b"{", b'{"x":NaN}', b"[" * 5_000, b"\xff"]
)
def test_a_genuine_seal_around_no_object_is_refused(plaintext: bytes) -> None:
    refuse(sealed_with(plaintext))


def test_a_large_reply_opens_and_one_above_the_bound_is_refused() -> None:
    large = {"message": "x" * 1_000_000}
    assert SEALER.open(UNSEALER.seal_reply(large, REPLY_KEY)) == large

    huge = UNSEALER.seal_reply({"message": "x" * (LARGEST_SEALED_BYTES * 3 // 4)}, REPLY_KEY)
    assert len(huge) > LARGEST_SEALED_BYTES
    assert "larger" in refuse(huge)


@pytest.mark.parametrize("name", ["message", "metadata", "replyKey"])
@pytest.mark.parametrize("value", [5, ["x"], ...], ids=str)
def test_a_genuine_seal_around_no_command_is_refused(name: Literal["message"], value: Any) -> None:
    content = {"message": "x", "metadata": {"a": 1}, "replyKey": jwk(REPLY_KEY), name: value}
    if value is ...:
        del content[name]
    sealed = sealed_with(json.dumps(content).encode(), EC)

    if (name, value) == ("metadata", ...):
        assert UNSEALER.open_command(sealed)[1] is None
        return
    with pytest.raises(SealingError) as caught:
        UNSEALER.open_command(sealed)
    assert caught.value.code == "tampered"


@pytest.mark.parametrize(
    "key",
    [
        pytest.param({}, id="empty"),
        pytest.param(jwk(RSA), id="RSA"),
        pytest.param(jwk(EC, private=True), id="private"),
        pytest.param({"kty": "OKP", "crv": "X25519", "x": "A" * 43}, id="a trap"),
    ],
)
def test_a_command_with_a_useless_reply_key_is_refused(key: dict[str, Any]) -> None:
    sealed = sealed_with(json.dumps({"message": "x", "replyKey": key}).encode(), EC)

    with pytest.raises(SealingError, match="no key for the reply") as caught:
        UNSEALER.open_command(sealed)
    assert caught.value.code == "tampered"
