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


def test_what_is_neither_yes_nor_no_is_asked_again() -> None:
    town = Town()
    try:
        town.app("server", io.StringIO())
        output = io.StringIO()
        alice = town.app("alice", output)
        asked: list[str] = []

        def answer(question: str, secret: bool) -> str:
            asked.append(question)
            if secret:
                return str(town.password)
            if question.startswith("Your name"):
                return "alice"
            return "the password, too early" if sum("Make" in one for one in asked) == 1 else "y"

        alice.answers = answer
        host, port = town.book.address
        alice.run_line(f"join {host}:{port}")
        assert sum("Make a new account" in question for question in asked) == 2
        assert "You are logged in as alice" in output.getvalue()
    finally:
        town.close()
