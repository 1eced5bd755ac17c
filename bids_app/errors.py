"""Errors that the command line turns into exit codes."""


class UsageError(Exception):
    """The user asked for something that cannot be done: one sentence, exit code 2."""
