"""What can go wrong for a user, each with one sentence that says what is wrong and what to do."""


class S3NetError(Exception):
    """Base of every error whose message is meant for the user as it stands."""


class InputError(S3NetError):
    """The image, a path or a setting can't be used; nothing has been written."""


class FitError(S3NetError):
    """The network could not be fitted to this image, also not with other seeds."""


class Cancelled(S3NetError):
    """The user asked to stop; nothing has been written."""

    def __init__(self, message: str = "Cancelled; nothing was written."):
        super().__init__(message)
