"""Every error this package raises.

```
SipBridgeError
├── ProtocolError
│   ├── LocalProtocolError    you asked for something the standard forbids
│   └── RemoteProtocolError   the peer broke the rules
├── NetworkError              no socket, no route
│   └── NotLocated(unknown)   no name, or nobody who can say
├── MediaError                the media worker could not do what was asked
├── SpeechError               a sentence could not be rendered, or a recogniser could not be loaded
├── FileError(file, line)     a scenario or plan file is wrong: names file, line and field
└── CallError(sip_call_id)    one call failed
    ├── CallRejected(status, reason)
    ├── AuthenticationFailed(status, realm)
    ├── CallTimedOut(stage)
    ├── CallUnreachable
    ├── NotRegistered(status, credentials)
    └── NegotiationFailed
```
"""

from __future__ import annotations


class SipBridgeError(Exception):
    """The root of all errors of tuner-sipbridge."""


class ProtocolError(SipBridgeError):
    """A message or a step that the standard does not allow."""


class LocalProtocolError(ProtocolError):
    """The caller of this library asked for something the standard forbids."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that breaks the standard.

    Attributes:
        status: what a request with this fault is answered with.
    """

    def __init__(self, message: str, *, status: int = 400) -> None:
        self.status = status
        # It quotes the peer; what no log could write, such as half of a UTF-8 character, is escaped.
        super().__init__(message.encode("utf-8", "backslashreplace").decode())


class NetworkError(SipBridgeError):
    """A socket could not be opened, or a host could not be reached or resolved."""


class NotLocated(NetworkError):
    """A host name leads to no address.

    Attributes:
        unknown: there is no such name, or it has no address; False when no name server could say.
    """

    def __init__(self, message: str, *, unknown: bool) -> None:
        self.unknown = unknown
        super().__init__(message)


class MediaError(SipBridgeError):
    """The media worker is gone, or refused what it was asked."""


class SpeechError(SipBridgeError):
    """A sentence could not be rendered to speech, or speech could not be recognised."""


class FileError(SipBridgeError):
    """A scenario or plan file is wrong.

    Attributes:
        file: path as the user gave it.
        line: line of the fault, counted from 1; 0 when the file as a whole is at fault.
        field: dotted path of the field at fault, empty when there is none.
    """

    def __init__(self, problem: str, *, file: str, line: int = 0, field: str = "") -> None:
        self.file, self.line, self.field, self.problem = file, line, field, problem
        where = f"{file}:{line}" if line else file
        super().__init__(f"{where}: {field + ': ' if field else ''}{problem}")


class CallError(SipBridgeError):
    """One call failed; the batch it belongs to goes on.

    Attributes:
        sip_call_id: Call-ID of the INVITE.
    """

    def __init__(self, message: str, *, sip_call_id: str = "") -> None:
        self.sip_call_id = sip_call_id
        super().__init__(message)


class CallRejected(CallError):
    """The far end answered with a final response of 300 or above.

    Attributes:
        status: SIP status code.
        reason: reason phrase as received.
    """

    def __init__(self, status: int, reason: str, *, sip_call_id: str = "", message: str = "") -> None:
        self.status, self.reason = status, reason
        super().__init__(
            message or f"{status} {reason}: the far end refused the call", sip_call_id=sip_call_id
        )


class AuthenticationFailed(CallRejected):
    """Challenged, and the credentials are missing or not accepted.

    Attributes:
        realm: realm of the challenge.
    """

    def __init__(self, status: int, reason: str, *, realm: str, message: str, sip_call_id: str = "") -> None:
        self.realm = realm
        super().__init__(status, reason, sip_call_id=sip_call_id, message=message)


class CallTimedOut(CallError):
    """Nobody answered in time.

    Attributes:
        stage: `"no response"` (Timer B: not even a provisional) or `"ringing"` (the caller's ring time-out).
    """

    def __init__(self, stage: str, message: str, *, sip_call_id: str = "") -> None:
        self.stage = stage
        super().__init__(message, sip_call_id=sip_call_id)


class CallUnreachable(CallError):
    """No way to the far end: its name is unknown, nothing listens there, or its certificate is not trusted."""


class NotRegistered(CallError):
    """The registration that the call needs does not stand; no INVITE was sent.

    Attributes:
        status: SIP status code of the registrar's refusal, 0 without an answer.
        credentials: what is wrong is who we are: user name, password, or a user that is not known there.
    """

    def __init__(
        self, message: str, *, status: int = 0, credentials: bool = False, sip_call_id: str = ""
    ) -> None:
        self.status, self.credentials = status, credentials
        super().__init__(message, sip_call_id=sip_call_id)


class NegotiationFailed(CallError):
    """Offer and answer have no codec, address or transport in common."""
