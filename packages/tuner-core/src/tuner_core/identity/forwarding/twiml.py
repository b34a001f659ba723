"""`<Connect><Stream><Parameter/>`: TwiML, and the dialects that follow it (TeXML, CXML).

Twilio and Telnyx put the parameters into the websocket's `start` message: Twilio as `start.customParameters`,
Telnyx as `start.custom_parameters`. Twilio allows 500 characters for a name and its value together
(twilio.com, TwiML `<Stream>`), which a Call-ID stays under.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from tuner_core.identity.forwarding.parameters import forwarded_parameters
from tuner_core.identity.model import SipIdentity

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def stream_document(identity: SipIdentity, url: str, *, attributes: Mapping[str, str] | None = None) -> str:
    """The whole answer of a voice webhook: connect the call to `url`, with the identity as parameters.

    Args:
        identity: what `resolve` found in the webhook.
        url: the `wss://` address of the agent. Twilio takes no query string in it.
        attributes: further attributes of `<Stream>`, such as `statusCallback`.
    """
    response = Element("Response")
    stream = SubElement(SubElement(response, "Connect"), "Stream", {"url": url, **(attributes or {})})
    stream.extend(_parameter_elements(identity))
    return DECLARATION + tostring(response, encoding="unicode")


def stream_parameters(identity: SipIdentity) -> str:
    """Just the `<Parameter/>` elements, for a document written elsewhere; empty when nothing is known."""
    return "".join(tostring(element, encoding="unicode") for element in _parameter_elements(identity))


def _parameter_elements(identity: SipIdentity) -> list[Element]:
    parameters = forwarded_parameters(identity)
    return [Element("Parameter", {"name": name, "value": value}) for name, value in parameters.items()]
