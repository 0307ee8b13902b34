"""The shell's commands, by topic. This table makes the prompt, `-c`, scripts and `--json`."""

from shell.commands import account, groups, hooks, join, look, people, questions, reach, scripts, talk

COMMANDS = (
    *account.COMMANDS,
    *join.COMMANDS,
    *people.COMMANDS,
    *talk.COMMANDS,
    *look.COMMANDS,
    *questions.COMMANDS,
    *groups.COMMANDS,
    *reach.COMMANDS,
    *scripts.COMMANDS,
    *hooks.COMMANDS,
)
