"""The mark in an OpenTelemetry context that says which call it is bound to.

A number, not the call: contexts live on in tasks and closures, and must not keep a call alive.
"""

from __future__ import annotations

from opentelemetry.context import Context, attach, create_key, get_value, set_value

_KEY = create_key("tuner-call")


def bound_number(context: Context | None) -> int | None:
    """The number in a context, in the current one when None."""
    number = get_value(_KEY, context=context)
    return number if isinstance(number, int) else None


def bind_current(number: int) -> None:
    """Bind the current context, and so every task and thread that inherits it from now on."""
    attach(set_value(_KEY, number))


def unbind_current(number: int) -> None:
    """Take the mark off again, if the current context still has it.

    Not by a token: the end of a call may come in another task, where a token is worth an error message.
    """
    if bound_number(None) == number:
        attach(set_value(_KEY, None))
