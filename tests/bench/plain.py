"""`parley-server` without TLS, which no setting allows: run by the benches to see what TLS costs."""

import asyncio
import socket
import sys

import server.embedded
from server.main import main
from server.phonebook import PhoneBookServer


class PlainPhoneBook(PhoneBookServer):
    """The same phone book on bare TCP."""

    async def _accept(self, bound: socket.socket) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(self._connected, sock=bound)


if __name__ == "__main__":
    setattr(server.embedded, "PhoneBookServer", PlainPhoneBook)  # noqa: B010 - a class in another's place
    sys.exit(main())
