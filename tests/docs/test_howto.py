"""The how-to pages tell the truth: their code runs, their output is what the command prints."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.testclient import TestClient
from starlette.websockets import WebSocket
from typer.testing import CliRunner

from tuner_core.cli.app import app as command
from tuner_core.identity import SipIdentity
from tuner_core.identity.forwarding import encode_alphanumeric
from tuner_core.identity.registry import unregister_provider
from tuner_core.testing import ScriptedTuner

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs/howto").glob("*.md"))
DATA = ROOT / "tests/data/providers"
OWN_PROVIDER = "own-provider.md"
ORIGIN = "https://agent.example.com"
SECRET = "a secret of at least thirty-two characters"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

SIMULATED = "2jf9wCCX7Ab3kLmNoPqRsTuVwXy"
OTHER = "7c1d90aa41e84f0b@198.51.100.7"
"""The two Call-IDs in the payloads of `tests/data/providers`."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Runs all Python of a page, with an agent that remembers what it was given as `agent`."""
    settings = {
        "TWILIO_AUTH_TOKEN": SECRET,
        "PLIVO_AUTH_TOKEN": SECRET,
        "VONAGE_SIGNATURE_SECRET": SECRET,
        "VONAGE_APPLICATION_ID": "app-1",
        "EXOTEL_TOKEN": SECRET,
        "VAPI_SECRET": SECRET,
        "TELNYX_API_KEY": "key",
        "TELNYX_PUBLIC_KEY": base64.b64encode(
            KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        ).decode(),
        "TUNER_API_KEY": "tr_api_test",
        "TUNER_WORKSPACE_ID": "1",
        "TUNER_AGENT_ID": "agent",
        "TUNER_OUTBOX": str(tmp_path / "outbox.sqlite3"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("REDIS_URL", raising=False)
    agent = ModuleType("my_agent")
    seen: list[Any] = []

    async def take(*arguments: Any) -> None:
        seen.append(arguments[-1])
        if isinstance(arguments[0], WebSocket):
            await arguments[0].send_text("taken")

    vars(agent).update(run_agent=take, post_call=take, call_known=take)
    monkeypatch.setitem(sys.modules, "my_agent", agent)

    def run(name: str) -> dict[str, Any]:
        space: dict[str, Any] = {"__name__": name, "agent": seen}
        for block in blocks(ROOT / f"docs/howto/{name}.md", "python"):
            exec(compile(block, f"docs/howto/{name}.md", "exec"), space)
        return space

    return run


def client(space: dict[str, Any], ip: str = "203.0.113.5") -> TestClient:
    return TestClient(space["app"], base_url="http://inside:8000", client=(ip, 50_000))


def call_ids(space: dict[str, Any], *first_messages: str | Path) -> list[str | None]:
    """The Call-IDs that the agent has after one websocket for each first message."""
    for message in first_messages:
        text = message if isinstance(message, str) else message.read_text("utf-8")
        with client(space).websocket_connect("/media") as websocket:
            websocket.send_text(text)
            assert websocket.receive_text() == "taken"
    return [identity.sip_call_id for identity in space["agent"]]


def signed_twilio(body: bytes) -> dict[str, str]:
    fields = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    text = f"{ORIGIN}/voice" + "".join(name + fields[name] for name in sorted(fields))
    signature = base64.b64encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha1).digest()).decode()
    return {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}


def test_twilio(run: Callable[[str], dict[str, Any]]):
    space = run("twilio")
    body = (DATA / "twilio/voice-webhook.form").read_bytes().strip()
    answer = client(space).post("/voice", content=body, headers=signed_twilio(body))
    assert f'<Parameter name="SipCallId" value="{SIMULATED}"' in answer.text
    assert answer.headers["Content-Type"] == "application/xml"
    assert (
        client(space).post("/voice", content=body + b"&x=1", headers=signed_twilio(body)).status_code == 403
    )
    assert call_ids(space, DATA / "twilio/media-stream-start.json") == [OTHER]


def test_plivo(run: Callable[[str], dict[str, Any]]):
    space = run("plivo")
    body = (DATA / "plivo/answer-webhook.form").read_bytes().strip()
    fields = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    text = f"{ORIGIN}/voice?" + "".join(name + fields[name] for name in sorted(fields)) + ".77"
    signature = base64.b64encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()).decode()
    headers = {
        "X-Plivo-Signature-V3": signature,
        "X-Plivo-Signature-V3-Nonce": "77",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answer = client(space).post("/voice", content=body, headers=headers)
    assert f"SipCallId={SIMULATED}" in answer.text
    assert client(space).post("/voice", content=body, headers=headers).status_code == 403
    assert call_ids(space, DATA / "plivo/stream-start-encoded.json") == [OTHER]


def test_vobiz(run: Callable[[str], dict[str, Any]]):
    space = run("vobiz")
    body = (DATA / "vobiz/answer-webhook.form").read_bytes().strip()
    assert f"SipCallId={SIMULATED}" in client(space).post("/voice", content=body).text
    assert call_ids(space, DATA / "vobiz/stream-start.json") == [OTHER]


def test_telnyx(run: Callable[[str], dict[str, Any]]):
    """The commands go where Telnyx' API would be."""
    space = run("telnyx")
    commands: list[tuple[str, Any]] = []

    def api(request: httpx.Request) -> httpx.Response:
        commands.append((request.url.path.rpartition("/")[2], json.loads(request.content)))
        return httpx.Response(200, json={"data": {"result": "ok"}})

    own: httpx.AsyncClient = space["api"]
    space["api"] = httpx.AsyncClient(base_url=own.base_url, transport=httpx.MockTransport(api))
    initiated = (DATA / "telnyx/call-initiated.json").read_text("utf-8")
    for body in (initiated, initiated.replace("call.initiated", "call.answered")):
        timestamp = str(int(time.time()))
        signature = base64.b64encode(KEY.sign(f"{timestamp}|{body}".encode())).decode()
        headers = {"Telnyx-Timestamp": timestamp, "Telnyx-Signature-Ed25519": signature}
        assert client(space).post("/voice", content=body, headers=headers).status_code == 200
    assert [name for name, _ in commands] == ["answer", "streaming_start"]
    assert commands[0][1] == {}
    assert {"name": "SipCallId", "value": SIMULATED} in commands[1][1]["custom_parameters"]
    assert client(space).post("/voice", content=initiated).status_code == 403
    assert call_ids(space, DATA / "telnyx/media-stream-start.json") == [SIMULATED]


def test_exotel(run: Callable[[str], dict[str, Any]]):
    space = run("exotel")
    query = (DATA / "exotel/passthru.form").read_text("utf-8").strip()
    params = {**{name: values[0] for name, values in parse_qs(query).items()}, "token": SECRET}
    answer = client(space).get("/voice", params=params)
    assert answer.json() == {"url": f"wss://agent.example.com/media?SipCallId={SIMULATED}"}
    assert client(space, ip="198.51.100.7").get("/voice", params=params).status_code == 403
    assert call_ids(space, DATA / "exotel/stream-start-object.json")[0] in {SIMULATED, OTHER}


def test_jambonz(run: Callable[[str], dict[str, Any]]):
    space = run("jambonz")
    answer = client(space).post("/voice", content=(DATA / "jambonz/call-hook.json").read_bytes())
    assert answer.json()[0]["metadata"]["SipCallId"] in {SIMULATED, OTHER}
    assert call_ids(space, DATA / "jambonz/listen-metadata.json") == [OTHER]


def test_vonage(run: Callable[[str], dict[str, Any]]):
    space = run("vonage")
    body = (DATA / "vonage/answer-post.json").read_bytes()

    def encoded(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).decode().rstrip("=")

    claims = {
        "iat": int(time.time()) - 1,
        "jti": "1",
        "application_id": "app-1",
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }
    signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    token = f"{signed}.{encoded(hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest())}"
    answer = client(space).post("/voice", content=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.json()[0]["endpoint"][0]["headers"] == {"SipCallId": SIMULATED}
    assert client(space).post("/voice", content=body).status_code == 403
    assert call_ids(space, DATA / "vonage/websocket-connected.json") == [OTHER]


def test_cloudonix(run: Callable[[str], dict[str, Any]]):
    space = run("cloudonix")
    answer = client(space).post("/voice", content=(DATA / "cloudonix/voice-application.json").read_bytes())
    assert f'<Parameter name="SipCallId" value="{SIMULATED}"' in answer.text
    assert call_ids(space, DATA / "twilio/media-stream-start.json") == [OTHER]


def test_wavix(run: Callable[[str], dict[str, Any]]):
    space = run("wavix")
    body = (DATA / "wavix/call-webhook-sip-headers.json").read_bytes()
    assert client(space).post("/voice", content=body).status_code == 200
    assert call_ids(space, DATA / "wavix/streaming-start.json") == [SIMULATED]


def test_freeswitch(run: Callable[[str], dict[str, Any]]):
    """The metadata of the page, as FreeSWITCH fills it in, and that of a call without the X- headers."""
    space = run("freeswitch")
    (action,) = blocks(ROOT / "docs/howto/freeswitch.md", "xml")
    template = re.search(r"8k (\{.*\})\"/>", action)
    assert template
    values = {"uuid": "3b9e1c52-6d47-4f0a-8c21-95e7d0b4a613", "sip_call_id": OTHER, "sip_h_X-CID": SIMULATED}

    def filled(values: dict[str, str]) -> str:
        plain = template[1].replace("&quot;", '"')
        return re.sub(r"\$\{(.*?)\}", lambda name: values.get(name[1], ""), plain)

    without = {name: value for name, value in values.items() if name != "sip_h_X-CID"}
    assert call_ids(space, filled(values), filled(without)) == [SIMULATED, OTHER]


async def test_asterisk(run: Callable[[str], dict[str, Any]]):
    space = run("asterisk")
    await space["on_event"](json.loads((DATA / "asterisk/stasis-start.json").read_bytes()))
    await space["on_media"](object(), "1772447127.1042")
    assert [identity.sip_call_id for identity in space["agent"]] == [OTHER]


def test_kamailio_and_opensips(run: Callable[[str], dict[str, Any]]):
    space = run("kamailio-opensips")
    body = (DATA / "kamailio/http-request.form").read_bytes()
    assert client(space).post("/calls", content=body).status_code == 200
    assert [identity.sip_call_id for identity in space["agent"]] == [OTHER]
    invite = (DATA / "sip/invite-call-id-only.txt").read_text("utf-8")
    assert space["identity_of_invite"](invite).sip_call_id in {SIMULATED, OTHER}


def test_vapi(run: Callable[[str], dict[str, Any]]):
    space = run("vapi")
    message = json.loads((DATA / "vapi/assistant-request.json").read_bytes())
    message["message"]["type"] = "end-of-call-report"
    assert client(space).post("/vapi", json=message).status_code == 403
    assert client(space).post("/vapi", json=message, headers={"X-Vapi-Secret": SECRET}).status_code == 200
    assert space["agent"][0].sip_call_id in {SIMULATED, OTHER}


def test_retell(run: Callable[[str], dict[str, Any]]):
    space = run("retell")
    body = (DATA / "retell/call-started.json").read_bytes()
    assert client(space).post("/retell", content=body).status_code == 204
    assert [identity.sip_call_id for identity in space["agent"]] == [SIMULATED]


async def test_daily(run: Callable[[str], dict[str, Any]]):
    space = run("daily")
    await space["bot"](SimpleNamespace(body=json.loads((DATA / "daily/runner-body.json").read_bytes())))
    (observer,) = space["agent"]
    assert isinstance(observer, space["TunerObserver"])


def test_livekit(run: Callable[[str], dict[str, Any]]):
    space = run("livekit-sip")
    attributes = json.loads((DATA / "livekit/participant-attributes.json").read_bytes())
    assert space["identity_of"](attributes).sip_call_id in {SIMULATED, OTHER}


def test_a_provider_of_ones_own(run: Callable[[str], dict[str, Any]], capsys: pytest.CaptureFixture[str]):
    try:
        run("own-provider")
    finally:
        unregister_provider("acme")
    first, second = capsys.readouterr().out.splitlines()
    assert f"`{first}`" in (ROOT / "docs/howto" / OWN_PROVIDER).read_text("utf-8")
    assert "switch on SIP details in Acme's console" in second


async def test_posting_as_the_index_says(
    run: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
):
    with ScriptedTuner(201) as tuner:
        monkeypatch.setenv("TUNER_BASE_URL", tuner.base_url)
        space = run("README")
        segments = [space["Segment"].agent("Hello!", start_ms=600, end_ms=1400)]
        identity = SipIdentity(sip_call_id=SIMULATED, correlation_id="5f0c2e9b7a314d68b1c4e07d92a6f3b8")
        await space["post_call"]("c-81", identity, segments, time.time() - 42)
        await space["delivery"].aclose()
        (posted,) = tuner.received
    assert posted.body["sip_call_id"] == SIMULATED
    assert posted.body["sip_headers"] == {"X-Correlation-Id": identity.correlation_id}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_output_on_a_page_is_what_the_command_prints(page: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    shown = re.findall(
        r"^\$ tuner (resolve [^\n]*)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    assert shown or page.name == OWN_PROVIDER
    for arguments, output in shown:
        assert CliRunner().invoke(command, arguments.split()).output == output, arguments


def test_the_code_on_the_pages_is_formatted(tmp_path: Path):
    for page in PAGES:
        for number, block in enumerate(blocks(page, "python")):
            (tmp_path / f"{page.stem.replace('-', '_')}_{number}.py").write_text(block, encoding="utf-8")
    ruff = [
        sys.executable,
        "-m",
        "ruff",
        "format",
        "--check",
        "--diff",
        "--config",
        str(ROOT / "pyproject.toml"),
    ]
    done = subprocess.run([*ruff, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_page_is_in_the_index_and_every_link_leads_somewhere():
    index = (ROOT / "docs/howto/README.md").read_text("utf-8")
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", index))
    assert linked == {page.name for page in PAGES} - {"README.md"}
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_names_on_the_pages_exist():
    """What is named in running text, and not only in code that runs above."""
    assert encode_alphanumeric("a@b").startswith("b32x")
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    for module, names in {
        "tuner_core.identity.forwarding": "decode_alphanumeric stream_parameters forwarded_parameters",
        "tuner_core.identity": "register_provider resolve",
        "tuner_core.webhooks": "SeenInRedis SeenInMemory WebhookRequest WebhookRefused",
    }.items():
        __import__(module)
        for name in names.split():
            assert name in text
            assert hasattr(sys.modules[module], name)
