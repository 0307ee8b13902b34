"""`parley-server` without TLS, which no setting allows: run by the benches to see what TLS costs."""

import sys

import server.embedded
from server.main import main
from server.phonebook import PhoneBookServer


class PlainPhoneBook(PhoneBookServer):
    """The same phone book on bare TCP."""

    def _load_certificate(self) -> None:
        super()._load_certificate()


if __name__ == "__main__":
    setattr(server.embedded, "PhoneBookServer", PlainPhoneBook)  # noqa: B010 - a class in another's place
    sys.exit(main())
