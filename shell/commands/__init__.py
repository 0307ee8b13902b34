"""The shell's commands, by topic. This table makes the prompt, `-c`, scripts and `--json`."""

from shell.commands import account, people, scripts, talk

COMMANDS = (*account.COMMANDS, *people.COMMANDS, *talk.COMMANDS, *scripts.COMMANDS)
