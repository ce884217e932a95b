"""What all errors of the package share: they are told to a person in one line, without our own call stack."""


class Told(Exception):
    """An error whose message says all that its reader needs: which input, what was found, what would be right."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback (`InteractiveShell.showtraceback`)."""
        return [f"{type(self).__name__}: {self}"]


class CommandError(Told, ValueError):
    """A command that failed, or that the model does not know; the message is the program's own, or says what there is.

    `printed`: all that the program printed. `status`: its exit status.
    """

    def __init__(self, message: str, printed: str = "", status: int = 1) -> None:
        super().__init__(message)
        self.printed, self.status = printed or message, status
