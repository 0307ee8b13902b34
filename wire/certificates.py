"""Identity keys: self-signed P-256 certificates, their fingerprints, and what a pin says of one.

A certificate lives as long as its key. It carries no dates that a machine with a wrong clock could refuse
(RFC 5280 §4.1.2.5: 99991231235959Z says "no expiry").

`cryptography` takes 35 ms to import, so it is imported where a key is used: a prompt is up before that.
"""

import base64
import datetime
import enum
import hashlib
from typing import NewType

import msgspec

Fingerprint = NewType("Fingerprint", bytes)
"""SHA-256 of a certificate's DER form, 32 bytes."""

_NOT_BEFORE = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
_MAX_COMMON_NAME = 64  # ub-common-name, RFC 5280 appendix A; `cryptography` counts bytes


class Identity(msgspec.Struct, frozen=True):
    """A private key and the certificate that shows its public half, both as PEM."""

    certificate_pem: bytes
    key_pem: bytes

    @property
    def certificate(self) -> bytes:
        """The certificate as DER."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        return x509.load_pem_x509_certificate(self.certificate_pem).public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the certificate."""
        return fingerprint(self.certificate)

    def check(self) -> None:
        """Raises ValueError unless both are whole and belong together."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization

        shown = x509.load_pem_x509_certificate(self.certificate_pem).public_key()
        if shown != serialization.load_pem_private_key(self.key_pem, password=None).public_key():
            raise ValueError("the key is not that of the certificate")
        check_certificate(self.certificate)

    def sign(self, message: bytes) -> bytes:
        """An ECDSA-SHA256 signature, DER-encoded."""
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = serialization.load_pem_private_key(self.key_pem, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("an identity key is an elliptic-curve key")
        return key.sign(message, ec.ECDSA(hashes.SHA256()))

    def exchange(self, certificate: bytes) -> bytes:
        """The static Diffie-Hellman value with the key of a certificate (DER), 32 bytes.

        Raises ValueError for a certificate that Parley does not use.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        own = serialization.load_pem_private_key(self.key_pem, password=None)
        other = x509.load_der_x509_certificate(certificate).public_key()
        if not (isinstance(own, ec.EllipticCurvePrivateKey) and isinstance(other, ec.EllipticCurvePublicKey)):
            raise ValueError("the keys are not of one curve")
        return own.exchange(ec.ECDH(), other)


class Pin(enum.Enum):
    """What the pinned fingerprint says of the one presented."""

    FIRST_SEEN = "first seen"
    SAME = "same"
    CHANGED = "changed"


def make_identity(common_name: str) -> Identity:
    """A new key with its self-signed certificate, which shows as much of the name as fits; about 1 ms."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    # It is for people who look at the file: what counts is the key, and the phone book says whose it is.
    shown = common_name.encode()[:_MAX_COMMON_NAME].decode(errors="ignore") or "?"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, shown)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Identity(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def fingerprint(certificate: bytes) -> Fingerprint:
    """SHA-256 of a certificate given as DER."""
    return Fingerprint(hashlib.sha256(certificate).digest())


def show_fingerprint(value: bytes) -> str:
    """As OpenSSH shows one: `SHA256:` and unpadded base64."""
    return "SHA256:" + base64.b64encode(value).decode().rstrip("=")


def check_certificate(certificate: bytes) -> None:
    """Raises ValueError for bytes that are no certificate with a P-256 key, as Parley uses them."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = x509.load_der_x509_certificate(certificate).public_key()
    if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        raise ValueError("the certificate has no P-256 key")


def verifies(certificate: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the key of a certificate (DER) made the signature over the message."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            return False
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def check_pin(pinned: bytes | None, presented: bytes) -> Pin:
    """Trust on first use (as OpenSSH's known_hosts): only the caller decides what a verdict means."""
    if pinned is None:
        return Pin.FIRST_SEEN
    return Pin.SAME if pinned == presented else Pin.CHANGED
