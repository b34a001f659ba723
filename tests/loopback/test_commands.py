"""The commands by themselves: exit codes and what they say."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tuner_sipbridge.agents.echo import echo
from tuner_sipbridge.answerer import Answerer
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.dialer.dialer import Dialer

GOOD = """name: tones
persona: {voice: tone}
steps:
  - say: one two
  - pause_s: 0.3
"""


def bridge(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from tuner_sipbridge.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


async def bridge_beside(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, run while this process answers."""
    import asyncio

    return await asyncio.to_thread(bridge, *arguments)


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "tones.yaml"
    path.write_text(GOOD)
    return path


async def test_dial_plays_a_scenario_and_leaves_its_evidence(scenario, tmp_path):
    out = tmp_path / "out"
    spoken = ("PCMU", "opus")
    async with Answerer(
        echo, port=0, transport="tcp", username="probe", password="s3cret", codecs=spoken
    ) as answerer:
        host, port = answerer.local
        done = await bridge_beside(
            *(
                "dial",
                f"sip:agent@{host}:{port}",
                "--transport=tcp",
                f"--scenario={scenario}",
                "--username=probe",
                "--password=s3cret",
            ),
            *("--codec=opus", "--codec=PCMU"),
            *("--call-id=my-own-call-id", "--header=X-Probe=1", f"--out={out}", "--json"),
        )
    assert done.returncode == 0, done.stderr
    (call,) = json.loads(done.stdout)["calls"]
    assert (call["sip_call_id"], call["outcome"], call["linked"]) == ("my-own-call-id", "success", None)
    assert (out / call["recording"]).stat().st_size > 8000
    assert "X-Probe: 1" in (out / call["trace"]).read_text()
    assert '"transport": "tcp"' in (out / call["trace"]).read_text()
    assert '"codec": "opus"' in (out / call["trace"]).read_text()
    assert (out / "report.html").exists()


async def test_run_plays_a_plan_and_fails_when_one_call_does(scenario, tmp_path):
    plan = tmp_path / "plan.yaml"
    async with Answerer(echo, port=0) as good, Answerer(echo, port=0, pick="busy") as busy:
        targets = [{"agent": name, "uri": f"sip:a@{at}:{on}"} for name, (at, on) in _named(good, busy)]
        plan.write_text(
            json.dumps({"targets": targets, "scenarios": ["tones.yaml"], "repeat": 2, "at_once": 4})
        )
        done = await bridge_beside("run", str(plan), f"--out={tmp_path / 'out'}")
    assert done.returncode == 1, done.stderr
    calls = json.loads((tmp_path / "out" / "result.json").read_text())["calls"]
    assert [(call["agent"], call["outcome"]) for call in calls] == [
        ("good", "success"),
        ("busy", "agent_error"),
    ] * 2
    assert "486" in done.stdout


def _named(good: Answerer, busy: Answerer) -> list[tuple[str, tuple[str, int]]]:
    return [("good", good.local), ("busy", busy.local)]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("name: x\nsteps:\n  - say: hi\n  - shout: loud\n", 4, "shout"),
        ("name: x\nsteps:\n  - dtmf: 12x\n", 3, "dtmf"),
        ("name: x\nsteps: [\n", 3, ""),
        ("name: x\n", 1, "steps"),
    ],
)
def test_wrong_file_is_exit_code_2_with_file_line_and_field(tmp_path, text, line, word):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    done = bridge("dial", "sip:agent@127.0.0.1:9", f"--scenario={path}")
    assert done.returncode == 2
    assert f"{path}:{line}" in done.stderr
    assert word in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("dial", "sip:agent@127.0.0.1:9", "--scenario=nowhere.yaml"),
        ("dial", "http://agent", "--scenario={scenario}"),
        ("dial", "sip:agent@127.0.0.1:9", "--scenario={scenario}", "--header=nonsense"),
        ("dial",),
        ("run", "nowhere.yaml"),
        ("demo", "--fault=unheard-of"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments, scenario):
    done = bridge(*(argument.format(scenario=scenario) for argument in arguments))
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip()


def test_no_local_tuner_is_exit_code_3(scenario):
    done = bridge("dial", "sip:agent@127.0.0.1:9", f"--scenario={scenario}", "--tuner=http://127.0.0.1:9")
    assert done.returncode == 3
    assert "tuner local" in done.stderr


async def test_port_in_use_is_exit_code_3():
    async with Answerer(echo, port=0) as answerer:
        done = await bridge_beside("answer", "--agent=echo", f"--port={answerer.local[1]}")
    assert done.returncode == 3
    assert "cannot bind" in done.stderr


async def test_answer_with_an_agent_leaves_results_and_a_capture(scenario, tmp_path):
    import asyncio

    code = "from tuner_sipbridge.cli import main; main()"
    arguments = ("answer", "--agent=echo", "--port=0", "--calls=1", "--for=30", f"--out={tmp_path / 'out'}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, *arguments, f"--pcap={tmp_path / 'calls.pcap'}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(30):
        address = (await process.stderr.readline()).decode().rpartition("@")[2].strip()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nobody:
            host, port = address.split(":")
            nobody.sendto(b"OPTIONS nonsense\r\n\r\n", (host, int(port)))
        async with Dialer() as dialer:
            await dialer.run(f"sip:agent@{address}", Scenario.load(scenario))
        stdout, _ = await process.communicate()
    assert process.returncode == 0, stdout
    assert "1 of 1 calls passed" in stdout.decode()
    assert "turned away: 1 malformed" in stdout.decode()
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["refused"] == result["summary"]["refused"] == {"malformed": 1}
    assert (tmp_path / "out" / result["calls"][0]["recording"]).exists()
    assert b"INVITE sip:agent" in (tmp_path / "calls.pcap").read_bytes()


def test_a_tel_uri_goes_out_by_the_trunk_that_is_given(scenario):
    trunk = "--trunk=sip:127.0.0.1:9;transport=tcp"
    done = bridge("dial", "tel:+15551234567", trunk, f"--scenario={scenario}")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "127.0.0.1" in done.stdout
