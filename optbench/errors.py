"""The one error that is meant for the user."""


class UserError(Exception):
    """Bad input: one clear line for the user; the command line prints it and exits with 2."""
