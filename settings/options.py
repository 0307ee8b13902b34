"""The command line of both programs."""

import argparse
from typing import NoReturn

from settings.spelling import nearest


class OptionsParser(argparse.ArgumentParser):
    """Says what is wrong with the options in one line instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with the code of a wrong usage."""
        wrong = next((word for word in message.split() if word.startswith("--")), "").rstrip(":")
        near = nearest(wrong, self._option_string_actions)
        hint = f"Did you mean {near}?" if near else f"See {self.prog} --help."
        self.exit(2, f"{self.prog}: {' '.join(message.split())}. {hint}\n")
