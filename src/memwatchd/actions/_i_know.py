"""The word that actions ask for which end more than they help."""

from memwatchd.keys import Key, Kind, key


def i_know_key() -> dict[str, Key]:
    """Make the metadata of the field ``i_know``."""
    return key(
        "i_know",
        Kind.BOOLEAN,
        "Must be true: it says that you know what this does to the machine.",
        example="true",
    )


def unknowing(what: str, consequence: str) -> str:
    """Say what is missing and what it would do."""
    return f"i_know: expected true, because {what} {consequence}"
