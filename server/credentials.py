"""What is checked of a name and a key before an account gets them."""

from wire.certificates import Fingerprint, check_certificate, fingerprint
from wire.errors import ErrorCode, Refused
from wire.names import check_name, skeleton


def checked_name(name: str) -> str:
    """The name as it will be shown. Raises `BadName`.

    To be called off the event loop: the first look at the tables of look-alikes takes 100 ms.
    """
    checked = check_name(name)
    skeleton(checked)
    return checked


def checked_fingerprint(certificate: bytes) -> Fingerprint:
    """The fingerprint of an identity certificate. Raises `Refused(BAD_CERTIFICATE)`."""
    try:
        check_certificate(certificate)
    except ValueError:
        raise Refused(
            ErrorCode.BAD_CERTIFICATE, "The identity certificate must be X.509 with a P-256 key."
        ) from None
    return fingerprint(certificate)
