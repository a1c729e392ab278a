"""Sealed words: what the user says, and the reply, for the eyes of one recipient behind the server.

A command's words travel as a compact JWE (ECDH-ES+A256KW, A256GCM) to the recipient's public key. Inside,
beside `message` and `metadata`, stands `replyKey`: the public half of a key that this process made for itself
and keeps nowhere. The reply's fields are sealed to it, so a reply can be read by this process alone, and what
was sealed for one that has ended is lost with it.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Literal, Self

from omniid.errors import EXIT_CONFIG, OmniidError
from omniid.protocol.codec import JSON

if TYPE_CHECKING:
    from joserfc.jwe import JWERegistry
    from joserfc.jwk import ECKey, OKPKey

    SealKey = ECKey | OKPKey

ALGORITHM = "ECDH-ES+A256KW"
ENCRYPTION = "A256GCM"
LARGEST_SEALED_BYTES = 16 * 1024 * 1024
_LARGEST_KEY_CHARACTERS = 64 * 1024
_LARGEST_HEADER_BYTES = 4_096
_LONGEST_KEY_ID = 200
_EC_CURVES = frozenset({"P-256", "P-384", "P-521"})
# `zip`, `crit` and whatever points to other keys are not among them.
_HEADERS = frozenset({"alg", "enc", "epk", "kid", "typ", "cty", "apu", "apv"})
_WANTED = "It has to be an EC key (P-256, P-384 or P-521) or an X25519 key, as JWK or PEM"
_PUBLIC_HALF = "Put the recipient's public key in its place (`openssl pkey -in KEY -pubout` prints it)"


class SealingError(OmniidError):
    """A key that cannot seal (`bad_seal_key`), or a sealed text that does not open (`tampered`)."""

    default_code = "bad_seal_key"
    exit_code = EXIT_CONFIG


class Sealer:
    """The client's end: seals commands to a recipient, and opens the replies to them."""

    def __init__(self, recipient: SealKey) -> None:
        """Use a public key that `from_key_text` has checked."""
        self._recipient = recipient
        # A recipient of the X25519 kind can do no other curve for sure; every other can do P-256.
        self._reply_key = _fresh_key("X25519" if recipient.key_type == "OKP" else "P-256")

    @classmethod
    def from_key_text(cls, text: str) -> Self:
        """Take the recipient's public key as JWK, as a JWK set of one key, or as PEM.

        Raises:
            SealingError: it is no such key; the message says what it is and what to do.
        """
        return cls(_read_key(text, "public"))

    def seal(self, message: str, metadata: dict[str, Any] | None) -> str:
        """The words of a command as they travel in `payload.sealed`.

        Raises:
            ValueError: the metadata is nothing that JSON can carry.
        """
        content: dict[str, Any] = {"message": message}
        if metadata is not None:
            content["metadata"] = metadata
        return _seal({**content, "replyKey": self._reply_key.as_dict(private=False)}, self._recipient)

    def open(self, sealed: str) -> dict[str, Any]:
        """The fields of `data` that travelled in `data.sealed`.

        Raises:
            SealingError: `tampered`: it was not sealed for this process, or not left as it was sealed.
        """
        return _open(sealed, self._reply_key)


class Unsealer:
    """The recipient's end: opens commands, and seals replies to whoever sent them."""

    def __init__(self, private: SealKey) -> None:
        """Use a private key that `from_key_text` has checked."""
        self._private = private

    @classmethod
    def from_key_text(cls, text: str) -> Self:
        """Take a private key as JWK, as a JWK set of one key, or as PEM without a password.

        Raises:
            SealingError: it is no such key; the message says what it is and what to do.
        """
        return cls(_read_key(text, "private"))

    def open_command(self, sealed: str) -> tuple[str, dict[str, Any] | None, SealKey]:
        """What `payload.sealed` holds: the message, its metadata, and the key to seal the reply to.

        Raises:
            SealingError: `tampered`: it was not sealed for this key, or holds no command.
        """
        content = _open(sealed, self._private)
        message, metadata, jwk = (content.get(name) for name in ("message", "metadata", "replyKey"))
        if not isinstance(message, str) or not isinstance(metadata, dict | None) or not isinstance(jwk, dict):
            raise _tampered("it holds no command")
        try:
            return message, metadata, _usable(_from_jwk(jwk, "public"))
        except SealingError:
            raise _tampered("it names no key for the reply") from None

    def seal_reply(self, data: dict[str, Any], reply_key: SealKey) -> str:
        """The fields of a reply's `data` as they travel in `data.sealed`.

        Raises:
            ValueError: the data is nothing that JSON can carry.
        """
        return _seal(data, reply_key)


# --- sealing and opening -----------------------------------------------------------------------------------


def _seal(content: dict[str, Any], key: SealKey) -> str:
    from joserfc.jwe import encrypt_compact  # noqa: PLC0415 heavy, and sealing is rarely on

    header = {"alg": ALGORITHM, "enc": ENCRYPTION, **({"kid": key.kid} if key.kid else {})}
    return encrypt_compact(header, JSON.pack(content).encode(), key, registry=_registry())


def _open(sealed: str, key: SealKey) -> dict[str, Any]:
    from joserfc.errors import JoseError  # noqa: PLC0415 heavy, and sealing is rarely on
    from joserfc.jwe import decrypt_compact  # noqa: PLC0415 heavy, and sealing is rarely on

    if len(sealed) > LARGEST_SEALED_BYTES:
        raise _tampered("it is larger than any that is sealed")
    if not sealed.isascii():
        raise _tampered("it is no compact JWE")
    _check_header(sealed.partition(".")[0], key)
    try:
        plaintext = decrypt_compact(sealed, key, registry=_registry()).plaintext
        content = JSON.unpack(plaintext or b"")
    except (JoseError, ValueError):
        # Which step failed is of use only to one who tampers.
        raise _tampered("it does not open with this key") from None
    if not isinstance(content, dict):
        raise _tampered("it holds no object")
    return content


def _check_header(segment: str, key: SealKey) -> None:
    """Hold a JWE's header to what is ever sealed here, before any of it is acted on."""
    if len(segment) > _LARGEST_HEADER_BYTES:
        raise _tampered("its header is too long")
    try:
        header = JSON.unpack(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError:
        raise _tampered("it is no compact JWE") from None
    if not isinstance(header, dict) or not header.keys() <= _HEADERS:
        raise _tampered("its header holds what is never sealed")
    if (header.get("alg"), header.get("enc")) != (ALGORITHM, ENCRYPTION):
        raise _tampered(f"it is not sealed with {ALGORITHM} and {ENCRYPTION}")
    ephemeral = header.pop("epk", None)
    texts = [*header.values(), *(ephemeral.values() if isinstance(ephemeral, dict) else [None])]
    if not all(isinstance(text, str) for text in texts):
        raise _tampered("its header is no header of a JWE")
    if (ephemeral.get("kty"), ephemeral.get("crv")) != (key.key_type, key.curve_name) or "d" in ephemeral:
        raise _tampered("it is sealed for another kind of key")


def _registry() -> JWERegistry:
    from joserfc.jwe import JWERegistry  # noqa: PLC0415 heavy, and sealing is rarely on

    registry = JWERegistry(algorithms=[ALGORITHM, ENCRYPTION])
    registry.max_protected_header_length = _LARGEST_HEADER_BYTES
    registry.max_ciphertext_length = LARGEST_SEALED_BYTES
    return registry


def _tampered(why: str) -> SealingError:
    return SealingError(
        f"A sealed text cannot be trusted: {why}. Check that both ends use the same seal key.",
        code="tampered",
    )


# --- keys --------------------------------------------------------------------------------------------------

Half = Literal["public", "private"]


def _read_key(text: str, half: Half) -> SealKey:
    """A key from a file's text. No error repeats any of it, since it may be a secret."""
    text = text.lstrip("\ufeff").strip()
    if not text:
        raise SealingError(f"The seal key is empty. {_WANTED}.")
    if len(text) > _LARGEST_KEY_CHARACTERS:
        raise SealingError(f"The seal key is too long to be one key. {_WANTED}.")
    if "-----BEGIN" in text:
        return _usable(_from_pem(text, half))
    try:
        jwk = JSON.unpack(text)
    except ValueError:
        raise SealingError(f"The seal key is neither JSON nor PEM. {_WANTED}.") from None
    if isinstance(jwk, dict) and isinstance(keys := jwk.get("keys"), list):
        if len(keys) != 1:
            raise SealingError(f"The seal key's JWK set holds {len(keys)} keys. Leave the one that is meant.")
        jwk = keys[0]
    if not isinstance(jwk, dict):
        raise SealingError(f"The seal key is JSON, but no JWK. {_WANTED}.")
    return _usable(_from_jwk(jwk, half))


def _from_jwk(jwk: dict[str, Any], half: Half) -> SealKey:
    from joserfc.errors import JoseError  # noqa: PLC0415 heavy, and sealing is rarely on
    from joserfc.jwk import ECKey, OKPKey  # noqa: PLC0415 heavy, and sealing is rarely on

    kind, curve = jwk.get("kty"), jwk.get("crv")
    if kind in ("RSA", "oct"):
        name = "an RSA key" if kind == "RSA" else "a secret that both ends share"
        raise SealingError(f"The seal key is {name}. {_WANTED}.")
    is_ec = kind == "EC" and isinstance(curve, str) and curve in _EC_CURVES
    if not is_ec and (kind, curve) != ("OKP", "X25519"):
        raise SealingError(f"The seal key is of a kind that cannot seal. {_WANTED}.")
    _expect_half(half, is_private="d" in jwk)
    if jwk.get("use", "enc") != "enc" or jwk.get("alg", ALGORITHM) != ALGORITHM:
        raise SealingError(
            f"The seal key's JWK says that it is for another use. Take a key for {ALGORITHM}, or one without "
            "`use` and `alg`."
        )
    key_id = jwk.get("kid")
    if key_id is not None and not (isinstance(key_id, str) and 1 <= len(key_id) <= _LONGEST_KEY_ID):
        raise SealingError(f"The seal key's `kid` is not text of 1 to {_LONGEST_KEY_ID} characters. Mend it.")
    bare = {name: jwk[name] for name in ("kty", "crv", "x", "y", "d", "kid") if jwk.get(name) is not None}
    try:
        return ECKey.import_key(bare) if is_ec else OKPKey.import_key(bare)
    except (JoseError, ValueError):
        raise SealingError(f"The seal key's JWK is damaged: its numbers are no key. {_WANTED}.") from None


def _from_pem(text: str, half: Half) -> SealKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 heavy, and sealing is rarely on
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 the same
    from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519  # noqa: PLC0415 the same
    from joserfc.jwk import ECKey, OKPKey  # noqa: PLC0415 the same

    if "CERTIFICATE" in text:
        raise SealingError(
            "The seal key is a certificate. Put its public key in its place (`openssl x509 -in FILE -noout "
            "-pubkey` prints it)."
        )
    _expect_half(half, is_private="PRIVATE" in text)
    key: Any
    try:
        if half == "private":
            key = serialization.load_pem_private_key(text.encode(), password=None)
        else:
            key = serialization.load_pem_public_key(text.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SealingError(f"The seal key's PEM cannot be read, or has a password. {_WANTED}.") from None
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        raise SealingError(f"The seal key is an RSA key. {_WANTED}.")
    if isinstance(key, x25519.X25519PublicKey | x25519.X25519PrivateKey):
        return OKPKey.import_key(key)
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) and isinstance(
        key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1
    ):
        return ECKey.import_key(key)
    raise SealingError(f"The seal key is of a kind that cannot seal. {_WANTED}.")


def _expect_half(half: Half, *, is_private: bool) -> None:
    if half == "public" and is_private:
        raise SealingError(
            f"The seal key is a private key, which belongs to the recipient alone. {_PUBLIC_HALF}, and "
            "remove the private one from this machine."
        )
    if half == "private" and not is_private:
        raise SealingError("The seal key is a public key, which opens nothing. Put its private half here.")


def _usable(key: SealKey) -> SealKey:
    """Refuse at once a key that no text can be sealed to, such as a point that gives no secret."""
    from joserfc.errors import JoseError  # noqa: PLC0415 heavy, and sealing is rarely on

    try:
        _seal({}, key)
    except (JoseError, ValueError):
        raise SealingError(f"The seal key gives no secret: it is damaged or a trap. {_WANTED}.") from None
    return key


def _fresh_key(curve: Literal["P-256", "X25519"]) -> SealKey:
    from joserfc.jwk import ECKey, OKPKey  # noqa: PLC0415 heavy, and sealing is rarely on

    return OKPKey.generate_key("X25519") if curve == "X25519" else ECKey.generate_key("P-256")
