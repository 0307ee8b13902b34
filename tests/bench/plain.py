"""`parley-server` without TLS, which no setting allows: run by the benches to see what TLS costs."""

import sys

import server.embedded
from server.main import main
from server.phonebook import PhoneBookServer
from server.settings import ServerSettings
from wire.certificates import Fingerprint


class PlainPhoneBook(PhoneBookServer):
    """The same phone book on bare TCP."""

    def _load_certificate(self, settings: ServerSettings) -> tuple[None, Fingerprint]:
        _, fingerprint = super()._load_certificate(settings)
        return None, fingerprint


if __name__ == "__main__":
    setattr(server.embedded, "PhoneBookServer", PlainPhoneBook)  # noqa: B010 - a class in another's place
    sys.exit(main())
