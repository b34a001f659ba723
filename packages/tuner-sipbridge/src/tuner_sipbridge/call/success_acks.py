"""The ACKs to the 2xx of our first INVITE, one for each dialog (RFC 3261 §13.2.2.4)."""

from __future__ import annotations

from tuner_sipbridge.call.invite_usage import Ground
from tuner_sipbridge.call.requests import SDP, credentials_in
from tuner_sipbridge.sip.dialog import Dialog
from tuner_sipbridge.sip.message import Request
from tuner_sipbridge.sip.uri import Uri


class SuccessAcks:
    """Sends the ACK to a 2xx, and the same one each time that the 2xx comes again."""

    def __init__(self, ground: Ground) -> None:
        """Begin with none sent."""
        self._ground = ground
        self._sent: dict[str, tuple[Request, Uri | None]] = {}

    def repeat(self, tag: str) -> bool:
        """Send the ACK of the dialog with this tag again; False when none was sent yet."""
        if tag not in self._sent:
            return False
        ack, strict_router = self._sent[tag]
        self._ground.layer.send_alone(ack, towards=strict_router)
        return True

    def send(self, invite: Request, dialog: Dialog, *, body: bytes) -> None:
        """Acknowledge the 2xx to `invite` that made `dialog`; `body` answers an offer of the 2xx."""
        ack = dialog.request(
            "ACK",
            via=self._ground.reach.via(self._ground.ids.branch(), towards=dialog.hop),
            cseq=invite.cseq.number,
            headers=[*credentials_in(invite), *([("Content-Type", SDP)] if body else [])],
            body=body,
        )
        self._sent[dialog.remote_tag] = ack, dialog.strict_router
        self._ground.layer.send_alone(ack, towards=dialog.strict_router)
