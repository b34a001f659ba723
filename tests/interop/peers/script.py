"""Scenarios of SIPp for a far end that is called: OPTIONS, which `verify` sends first, and one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from string import Template

SCENARIO = Template("""<?xml version="1.0" encoding="ISO-8859-1" ?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="far end of a call">
  <recv request="OPTIONS" optional="true" next="options" />
  <recv request="INVITE">
    <action>
      <ereg regexp="sip:([^&gt;]*)&gt;;tag=(.*)" search_in="hdr" header="From:" assign_to="all,caller,tag" />
    </action>
  </recv>
  <Reference variables="all,caller,tag" />
$steps  <nop next="end" />
  <label id="options" />
$options  <label id="end" />
</scenario>
""")
RESPONSE = Template("""  <send$retrans>
    <![CDATA[

      SIP/2.0 $status
      [last_Via:]
      [last_From:]
      [last_To:]$tag
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:agent@[local_ip]:[local_port]>
      Server: SIPp
$body
    ]]>
  </send>
""")
SESSION = """      Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=sipp 1 1 IN IP4 [local_ip]
      s=-
      c=IN IP4 [media_ip]
      t=0 0
      m=audio {port} RTP/AVP 0{types}
      a=rtpmap:0 PCMU/8000
"""
KEYS = "      a=rtpmap:101 telephone-event/8000\n"
BYE = """  <send retrans="500">
    <![CDATA[

      BYE sip:[$caller] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:agent@[local_ip]:[local_port]>;tag=[pid]SIPpTag[call_number]
      To: <sip:[$caller]>;tag=[$tag]
      Call-ID: [call_id]
      CSeq: 1 BYE
      Max-Forwards: 70
      Reason: Q.850;cause=16;text="flow ended"
      Content-Length: 0

    ]]>
  </send>
  <recv response="200" />
"""
TONE_S = 3
_NO_BODY = "      Content-Length: 0\n"


def script(folder: Path, steps: Sequence[str], *, options: Sequence[str] = ()) -> Path:
    """Write a scenario.

    Args:
        folder: where to.
        steps: in order: a status line (`486 Busy Here`); `200 OK` has SDP, with ` -keys` behind it without
            telephone-events, and ` +tone` where `tone` plays it; `ms N`; `ACK` and `BYE`, which are expected;
            `BYE answered`; `BYE sent`; `tone`, which speaks.
        options: what is done before OPTIONS gets its 200.
    """
    tone = folder / "tone.raw"
    tone.write_bytes(bytes([0x10, 0x90] * 4000 * TONE_S))
    path = folder / "far_end.xml"
    written = "".join(_step(step, tone) for step in steps)
    answer = "".join(_step(step, tone) for step in options) + _response("200 OK", "")
    path.write_text(SCENARIO.substitute(steps=written, options=answer))
    return path


def _step(step: str, tone: Path) -> str:
    word, _, rest = step.partition(" ")
    if word == "ms":
        return f'  <pause milliseconds="{rest}" />\n'
    if word == "tone":
        return f'  <nop><action><exec rtp_stream="{tone},1,0,PCMU/8000" /></action></nop>\n'
    if step == "BYE sent":
        return BYE
    if step == "BYE answered":
        return '  <recv request="BYE" />\n' + _response("200 OK", "", tagged=True)
    if word in ("ACK", "BYE"):
        return f'  <recv request="{word}" />\n'
    if word == "200":
        port = "[rtpstream_audio_port]" if "+tone" in rest else "[media_port]"
        keys = "-keys" not in rest
        return _response("200 OK", SESSION.format(port=port, types=" 101" if keys else "") + KEYS * keys)
    return _response(step, "")


def _response(status: str, body: str, *, tagged: bool = False) -> str:
    final = not status.startswith("1")
    return RESPONSE.substitute(
        status=status,
        body=body or _NO_BODY,
        tag="" if tagged else ";tag=[pid]SIPpTag[call_number]",
        retrans=' retrans="500"' if final and not tagged and body else "",
    )
