"""`join` asks what the phone book wants to know, and remembers where it got in."""

import io
import re

from shell.host import Town


def test_an_invitation_is_asked_for_where_one_is_needed() -> None:
    town = Town()
    try:
        console, told = town.app("server", told_to := io.StringIO()), told_to
        console.run_line("registration invite")
        console.run_line("invite")
        code = re.findall(r"\b[A-Za-z0-9]{4,}(?:-[A-Za-z0-9]{4,})+\b", told.getvalue())[-1]
        output = io.StringIO()
        alice = town.app("alice", output)
        answers = {"Your name there: ": "alice", "Invitation: ": code}
        alice.answers = lambda question, secret: town.password if secret else answers.get(question, "")
        host, port = town.book.address
        alice.run_line(f"join {host}:{port}")
        assert "by invitation" in output.getvalue()
        assert "You are logged in as alice" in output.getvalue()
        assert (town.folder / "alice" / "joined.toml").read_text().count("alice") == 1
    finally:
        town.close()
