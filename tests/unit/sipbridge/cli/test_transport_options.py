from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tuner_sipbridge.cli import app
from tuner_sipbridge.cli.transport_options import tls_settings

URI = "sip:agent@127.0.0.1:9;transport=tls"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "tones.yaml"
    path.write_text("name: tones\npersona: {voice: tone}\nsteps: [{say: one}]\n")
    return path


def dial(scenario: Path, *arguments: str, uri: str = URI) -> Result:
    return CliRunner().invoke(app, ["dial", uri, "--scenario", str(scenario), *arguments])


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--tls-pin", "abc"], "64 hexadecimal digits"),
        (["--insecure", "--tls-pin", "0" * 64], "checks nothing"),
        (["--public-address", "a:b:c"], "is not HOST, HOST:PORT or stun:SERVER"),
        (["--tls-ca", "{scenario}"], "it does not hold CA certificates"),
    ],
)
def test_wrong_options_are_exit_code_2_and_say_why(scenario: Path, arguments: list[str], reason: str):
    result = dial(scenario, *(argument.format(scenario=scenario) for argument in arguments))
    assert result.exit_code == 2
    assert reason in result.stderr


def test_a_uri_whose_transport_is_not_spoken_is_exit_code_2(scenario: Path):
    result = dial(scenario, uri="sip:agent@127.0.0.1;transport=sctp")
    assert result.exit_code == 2
    assert "transport=sctp is not spoken" in result.stderr


def test_insecure_is_said_loudly(capsys: pytest.CaptureFixture[str]):
    assert tls_settings(None, None, None, None, insecure=True).insecure
    assert "certificates are NOT checked" in capsys.readouterr().err
    assert not tls_settings(None, None, None, None, insecure=False).insecure
    assert capsys.readouterr().err == ""


def test_answering_over_tls_without_a_certificate_is_exit_code_2():
    result = CliRunner().invoke(app, ["answer", "--agent", "echo", "--transport", "tls", "--port", "0"])
    assert result.exit_code == 2
    assert "--tls-cert" in result.stderr
