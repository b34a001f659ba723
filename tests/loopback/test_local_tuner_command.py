"""`tuner local` as a process: what it prints, where it listens, how it ends."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from tuner_core.cli.app import app

RUN = [sys.executable, "-c", "import typer; from tuner_core.local.cli import local; typer.run(local)"]


def test_prints_one_line_and_serves_until_interrupted(tmp_path: Path) -> None:
    options = ["--port", "0", "--db", str(tmp_path / "local.db"), "--agent", "frontdesk"]
    with subprocess.Popen(
        [*RUN, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"Local Tuner at (http://127\.0\.0\.1:\d+)  export (.*)", line)
        assert address is not None
        settings = dict(pair.split("=", 1) for pair in address[2].split())
        assert settings == {
            "TUNER_BASE_URL": address[1],
            "TUNER_API_KEY": "tr_api_local",
            "TUNER_WORKSPACE_ID": "1",
            "TUNER_AGENT_ID": "frontdesk",
        }
        assert httpx.get(f"{address[1]}/local/calls").json() == []
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "", "")


def test_a_port_that_is_taken_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = CliRunner().invoke(app, ["local", "--port", port, "--db", ":memory:"])
    assert ended.exit_code == 3
    assert ended.stderr.startswith(f"cannot listen on 127.0.0.1 port {port}: ")


def test_a_file_that_is_no_database_is_said_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("shopping list, long enough to be no empty database\n" * 40)
    ended = CliRunner().invoke(app, ["local", "--port", "0", "--db", str(file)])
    assert ended.exit_code == 3
    assert "notes.txt" in ended.stderr
    assert file.read_text().startswith("shopping list")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fault", "explode:0.1"], "no such fault; there are an HTTP status from 400 to 599"),
        (["--fault", "429:0.7,hang:0.7"], "add up to 1.4"),
        (["--seed", "3"], "no meaning without --fault"),
        (["--forward", "api.usetuner.ai"], "must be an http or https URL"),
        (["--duplicates", "500"], "must be 200 or 409"),
        (["--export", "-", "--db", ":memory:"], "there is no file :memory: to export"),
    ],
)
def test_a_wrong_option_is_a_clear_error(options: list[str], words: str) -> None:
    ended = CliRunner(env={"TERMINAL_WIDTH": "400"}).invoke(
        app, ["local", "--port", "0", "--db", ":memory:", *options]
    )
    assert ended.exit_code == 2
    assert words in " ".join(ended.stderr.replace("│", " ").split())


def test_says_what_it_does_beside_and_exports_what_it_kept(tmp_path: Path) -> None:
    db = tmp_path / "local.db"
    options = ["--port", "0", "--db", str(db), "--fault", "503:1", "--seed", "7", "--lenient"]
    with subprocess.Popen([*RUN, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[3]
        assert process.stdout.readline().startswith("Lenient: ")
        assert process.stdout.readline() == "Faults on purpose: 503 100 %; the same again with --seed 7\n"
        assert httpx.post(f"{address}/api/v1/public/call", json={}).status_code == 503
        assert httpx.post(f"{address}/local/simulations", json={"sip_call_id": "a1"}).status_code == 201
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    file = tmp_path / "all.json"
    for to in (str(file), "-"):
        ended = CliRunner().invoke(app, ["local", "--db", str(db), "--export", to])
        assert ended.exit_code == 0
    document = json.loads(ended.stdout)
    assert document == json.loads(file.read_text())
    assert [row["sip_call_id"] for row in document["simulations"]] == ["a1"]
    assert [(row["verdict"], row["status"]) for row in document["posts"]] == [("fault", 503)]


def test_another_address_than_loopback_gets_a_key_of_its_own() -> None:
    from tuner_core.local.server import LocalTuner, is_loopback

    assert not is_loopback("0.0.0.0")
    assert not is_loopback("tuner.example")
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"))
    tuners = [LocalTuner(host="0.0.0.0"), LocalTuner(host="0.0.0.0")]
    keys = {tuner.api_key for tuner in tuners}
    for tuner in tuners:
        tuner.stop()
    assert len(keys) == 2
    assert "tr_api_local" not in keys
