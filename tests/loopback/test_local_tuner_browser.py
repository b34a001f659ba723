"""The pages of the local Tuner in a real browser (Debian's chromium): live, searchable, drawn, and private."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tuner_core.testing import LocalTuner

START = 1_760_000_000
CALL_SID = "CA0123456789abcdef0123456789abcdef"
CLIENT = httpx.Client()
NEW_CALL = "<script>alert(1)</script>"
TURNS: list[dict[str, Any]] = [
    {"role": "agent", "text": "Good morning, how can I help you?", "start_ms": 1000, "end_ms": 4000},
    {
        "role": "user",
        "words": [
            {"word": "where", "start_ms": 5000, "end_ms": 6000},
            {"word": "is", "start_ms": 6000, "end_ms": 7000},
            {"word": "it?", "start_ms": 7000, "end_ms": 9000},
        ],
    },
    {"role": "node_transition", "start_ms": 9000, "node": {"from": "greeting", "to": "order"}},
    {"role": "agent_function", "start_ms": 9200, "tool": {"name": "look_up", "request_id": "r"}},
    {
        "role": "agent_result",
        "start_ms": 10_800,
        "tool": {"name": "look_up", "request_id": "r", "is_error": True, "error": "no such order"},
    },
    {
        "role": "agent",
        "text": "It is on its way",
        "start_ms": 11_000,
        "end_ms": 16_000,
        "metadata": {"e2e_latency": 2000, "llm_node_ttft": 700, "interrupted": True},
    },
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium is not None, (
        "no chromium on the PATH: apt-get install chromium (tools/ensure-peers.sh does it)"
    )
    with sync_playwright() as playwright:
        # Its sandbox does not start for root nor in most containers; these pages are our own.
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        running = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield running
        running.close()


@pytest.fixture
def page(browser: Browser, local_tuner: LocalTuner) -> Iterator[Page]:
    """A page that has loaded nothing yet; at the end nothing went wrong in it and it asked no other host."""
    context = browser.new_context(base_url=local_tuner.base_url, viewport={"width": 1300, "height": 900})
    context.set_default_timeout(5000)
    opened = context.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.add_init_script(
        "document.addEventListener('securitypolicyviolation', (e) => console.error('CSP', e.violatedDirective))"
    )
    yield opened
    context.close()
    assert complaints == []
    assert {url for url in asked if not url.startswith(local_tuner.base_url)} == set()


def post(tuner: LocalTuner, call_id: str, **changes: Any) -> int:
    body = {
        "call_id": call_id,
        "call_type": "phone_call",
        "transcript_with_tool_calls": TURNS,
        "start_timestamp": START,
        "end_timestamp": START + 20,
        "recording_url": "https://elsewhere.example/recording.wav",
    }
    url = f"{tuner.base_url}/api/v1/public/call?workspace_id=1&agent_remote_identifier=frontdesk"
    headers = {"Authorization": f"Bearer {tuner.api_key}"}
    return CLIENT.post(url, json=body | changes, headers=headers).json()["id"]


def register(tuner: LocalTuner, sip_call_id: str, **fields: Any) -> None:
    body = {"sip_call_id": sip_call_id, "started_at": START, **fields}
    httpx.post(f"{tuner.base_url}/local/simulations", json=body).raise_for_status()


def test_a_call_appears_without_a_reload_and_what_is_there_stays_as_it_is(
    page: Page, local_tuner: LocalTuner
) -> None:
    for number in range(30):
        post(local_tuner, f"c-{number:02d}")
    page.goto("/")
    expect(page.get_by_role("status")).to_have_text("live")
    page.evaluate(
        "window.scrollTo(0, 400); document.querySelector('#call-9').marked = true; window.marked = true"
    )
    register(local_tuner, "a1", scenario="refund")
    post(local_tuner, NEW_CALL, sip_call_id="a1")
    row = page.locator("#calls tbody tr").first
    expect(row).to_contain_text(NEW_CALL)
    expect(row).to_contain_text("linked by Call-ID")
    expect(page.locator("#count")).to_have_text("31 posted")
    kept = page.evaluate("[window.marked, document.querySelector('#call-9').marked, window.scrollY]")
    assert kept[:2] == [True, True]
    assert kept[2] >= 400
    expect(page.locator("#calls tbody tr.fresh")).to_have_count(1)


def test_the_page_of_a_call_changes_when_it_is_posted_again(page: Page, local_tuner: LocalTuner) -> None:
    number = post(local_tuner, "c-81")
    page.goto(f"/calls/{number}")
    page.locator("#raw summary").click()
    expect(page.locator("#live")).to_have_text("live")
    post(local_tuner, "c-81")
    expect(page.locator("#posted")).to_contain_text("2 times in all, stored once")
    expect(page.locator("#tries tbody tr")).to_have_count(2)
    expect(page.locator("#raw pre")).to_be_visible()


def test_a_page_finds_its_server_again(browser: Browser) -> None:
    page = browser.new_page()
    with LocalTuner() as first:
        port = int(first.base_url.rpartition(":")[2])
        page.goto(f"{first.base_url}/")
        expect(page.locator("#live")).to_have_text("live")
    expect(page.locator("#live")).to_have_text("reconnecting…")
    with LocalTuner(port=port) as second:
        post(second, "c-after")
        expect(page.locator("#calls")).to_contain_text("c-after")
        expect(page.locator("#live")).to_have_text("live")
        page.close()


def test_a_search_is_at_hand_on_every_page(page: Page, local_tuner: LocalTuner) -> None:
    register(local_tuner, "a1", scenario="refund", ended_at=START + 20)
    post(local_tuner, "order-4217", sip_call_id=CALL_SID)
    post(local_tuner, "order-9999")
    for path in ("/simulations", "/posts", "/calls/1"):
        page.goto(path)
        box = page.get_by_role("search").get_by_role("searchbox")
        box.fill("4217")
        box.press("Enter")
        expect(page.locator("#calls tbody tr")).to_have_count(1)
        expect(page.locator("#calls")).to_contain_text("order-4217")
    page.keyboard.press("/")
    page.get_by_role("searchbox").fill(CALL_SID)
    page.keyboard.press("Enter")
    explained = page.locator("#explained")
    expect(explained).to_contain_text("Twilio's CallSid is a provider's own id, not a SIP Call-ID")
    expect(explained).to_contain_text("most likely the call of the simulation refund")


def test_the_timeline_is_drawn_to_scale(page: Page, local_tuner: LocalTuner) -> None:
    page.goto(f"/calls/{post(local_tuner, 'c-81')}")

    def box(selector: str) -> dict[str, float]:
        found = page.locator(selector).bounding_box()
        assert found is not None
        return {
            "x": found["x"],
            "y": found["y"],
            "width": found["width"],
            "height": found["height"],
            "right": found["x"] + found["width"],
        }

    strip = box("#strip svg.drawing")
    px_per_s = strip["width"] / 20
    user, answer = box("#strip .bar.user rect"), box("#strip .bar.agent.cut rect")
    greeting, tool, gap = (
        box("#strip .bar.agent:not(.cut) rect"),
        box("#strip .bar.tool rect"),
        box("#strip .gap"),
    )
    for drawn, start, end in (
        (user, 5, 9),
        (answer, 11, 16),
        (greeting, 1, 4),
        (tool, 9.2, 10.8),
        (gap, 9, 11),
    ):
        assert drawn["x"] - strip["x"] == pytest.approx(start * px_per_s, abs=3)
        assert drawn["right"] - strip["x"] == pytest.approx(end * px_per_s, abs=3)
    assert user["y"] + user["height"] < answer["y"] < tool["y"]
    assert greeting["y"] == answer["y"]
    expect(page.locator("#strip .wait text")).to_have_text("2.00 s")
    expect(page.locator("#strip .bar.tool")).to_have_class("bar tool error")
    expect(page.locator("#strip .step text").last).to_have_text("order")
    expect(page.locator("#figures")).to_contain_text("slowest answer")


def test_the_timeline_answers_the_pointer_and_the_keyboard(page: Page, local_tuner: LocalTuner) -> None:
    page.goto(f"/calls/{post(local_tuner, 'c-81')}")
    bar = page.locator("#strip .bar.user rect")
    card = page.get_by_role("tooltip")
    bar.hover()
    expect(card).to_contain_text("0:05.0 – 0:09.0")
    expect(card.locator("mark")).to_have_text("it?")
    expect(page.locator("li#turn-2")).to_have_class("of-user lit")
    page.mouse.move(5, 5)
    expect(card).to_have_count(0)
    page.locator("#strip").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(card).to_contain_text("where is it?")
    page.keyboard.press("ArrowRight")
    expect(card).to_contain_text("failed: no such order")
    drawing = page.locator("#strip svg.drawing")
    whole = int(drawing.get_attribute("width") or 0)
    page.keyboard.press("+")
    expect(drawing).to_have_attribute("width", str(2 * whole))
    expect(page.locator("#strip .bar.tool")).to_be_focused()
    assert page.url.endswith("?zoom=1")
    page.keyboard.press("0")
    expect(drawing).to_have_attribute("width", str(whole))
    page.keyboard.press("Enter")
    expect(page.locator("li#turn-4")).to_be_in_viewport()


def test_an_unlinked_simulation_says_why_and_what_to_set_up(page: Page, local_tuner: LocalTuner) -> None:
    register(local_tuner, "a1", scenario="refund", ended_at=START + 20, outcome="success")
    post(local_tuner, "c-81", sip_call_id=CALL_SID)
    page.goto("/simulations")
    row = page.locator("#simulations tbody tr")
    expect(row).to_contain_text("not linked")
    expect(row).to_contain_text("is Twilio's CallSid, a provider's own id, not the SIP Call-ID")
    expect(row.locator(".fix")).to_contain_text("See docs/howto/twilio.md.")
    row.get_by_text("look at that call").click()
    expect(page.locator("#link")).to_contain_text("most likely the call of the simulation refund")


def test_the_store_is_exported_and_cleared_by_hand(page: Page, local_tuner: LocalTuner) -> None:
    post(local_tuner, "c-81")
    page.goto("/")
    with page.expect_download() as download:
        page.get_by_text("Export all as JSON").click()
    assert download.value.suggested_filename == "tuner-local.json"
    document = json.loads(download.value.path().read_text())
    assert [call["call_id"] for call in document["calls"]] == ["c-81"]
    page.get_by_text("Clear all…").click()
    page.get_by_role("button", name="Clear all").click()
    expect(page.locator("#calls")).to_contain_text("No call was posted yet")
    assert local_tuner.calls() == []


def test_a_page_works_in_both_colour_schemes(page: Page, local_tuner: LocalTuner) -> None:
    page.goto(f"/calls/{post(local_tuner, 'c-81')}")
    grounds: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert grounds[0] != grounds[1]


def test_long_ids_stay_readable_on_a_narrow_screen(page: Page, local_tuner: LocalTuner) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    post(local_tuner, "x" * 200, sip_call_id="y" * 200)
    page.goto("/")
    row = page.locator("#calls tbody tr")
    for shown in (row.get_by_role("link"), row.get_by_text("y" * 200)):
        box = shown.bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert box["height"] < 80
    expect(row.get_by_text("production traffic")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
