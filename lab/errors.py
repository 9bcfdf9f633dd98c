"""What goes wrong in the lab, for a person: one line, what and where and what to do."""


class LabError(Exception):
    """Something the lab cannot go on without; its text is for the person who started it."""


class MissingError(LabError):
    """A program, package or right is not here."""


class ScenarioError(LabError):
    """A scenario file says something that cannot be."""
