"""What a native tool says of an argument that it cannot take."""


class BadArgument(Exception):
    """The message names the argument and what it must be."""
