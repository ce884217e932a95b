"""What all errors of the package share: they are told to a person in one line, without our own call stack."""


class Told(Exception):
    """An error whose message says all that its reader needs: which input, what was found, what would be right."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback (`InteractiveShell.showtraceback`)."""
        return [f"{type(self).__name__}: {self}"]


class Wrong(Exception):
    """A command line that argparse lets through and that makes no sense; exit status 2."""


class CommandError(Told, ValueError):
    """A command that failed, on either dataplane, or that the model does not know.

    `printed`: what the program printed, with its newlines; the message alone where it is not given. `status`: the
    exit status, 1 to 255.

    >>> CommandError("RTNETLINK answers: File exists", status=2).printed
    'RTNETLINK answers: File exists\\n'
    """

    def __init__(self, message: str, *, printed: str | None = None, status: int = 1) -> None:
        super().__init__(message)
        self.printed = f"{message}\n" if printed is None else printed
        self.status = status
