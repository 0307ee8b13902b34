"""The command line of both programs."""

import argparse
from typing import NoReturn

NEAR = 0.7  # how much alike, from 0 to 1, a word must be to be suggested


class OptionsParser(argparse.ArgumentParser):
    """Says what is wrong with the options in one line instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with the code of a wrong usage."""
        from difflib import get_close_matches  # what is right needs none

        wrong = next((word for word in message.split() if word.startswith("--")), "").rstrip(":")
        near = get_close_matches(wrong, self._option_string_actions, n=1, cutoff=NEAR)
        hint = f"Did you mean {near[0]}?" if near and near[0] != wrong else f"See {self.prog} --help."
        self.exit(2, f"{self.prog}: {' '.join(message.split())}. {hint}\n")
