"""`verify`: calls a SIP URI once and says of each step whether it works, and if not, what to change."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Annotated

import typer

from tuner_sipbridge.cli.exits import FAILED, USAGE, errors_as_exit_codes
from tuner_sipbridge.cli.extension_options import (
    MinSe,
    Reliable,
    SessionInterval,
    SessionRefresher,
    extensions_of,
)
from tuner_sipbridge.cli.location_options import (
    DEFAULT_NEXT_TARGET_AFTER_S,
    NameServer,
    NextTargetAfter,
    TrunkTexts,
    trunks_of,
)
from tuner_sipbridge.cli.options import (
    RESULTS,
    FromUser,
    FurtherHeaders,
    Password,
    Pcap,
    ProviderName,
    Username,
    check_writable,
    pairs_of,
)
from tuner_sipbridge.cli.register_options import Register, RegistrarUri, registering
from tuner_sipbridge.cli.session import Codecs, LateOffer, Srtp, SrtpChoice, spoken
from tuner_sipbridge.cli.trace import write_pcap
from tuner_sipbridge.cli.transport_options import (
    DialTransport,
    Insecure,
    PublicAddress,
    TlsCa,
    TlsCert,
    TlsKey,
    TlsPin,
    TransportName,
    tls_settings,
)
from tuner_sipbridge.cli.verdict_lines import shown
from tuner_sipbridge.dialer.provided import extensions_for
from tuner_sipbridge.providers import find_provider
from tuner_sipbridge.verify.run import Access
from tuner_sipbridge.verify.run import verify as walk


def verify(
    uri: Annotated[
        str, typer.Argument(metavar="SIP-URI", help="Whom to call, for example sip:agent@edge.example.")
    ],
    provider: ProviderName = None,
    username: Username = None,
    password: Password = None,
    header: FurtherHeaders = None,
    from_user: FromUser = "",
    ring_timeout: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="CANCEL after so long without answer.")
    ] = 30.0,
    register: Register = False,
    registrar: RegistrarUri = None,
    transport: DialTransport = TransportName.udp,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_pin: TlsPin = None,
    insecure: Insecure = False,
    public_address: PublicAddress = None,
    dns: NameServer = None,
    trunk: TrunkTexts = None,
    next_target_after: NextTargetAfter = DEFAULT_NEXT_TARGET_AFTER_S,
    srtp: Srtp = SrtpChoice.off,
    codec: Codecs = None,
    late_offer: LateOffer = False,
    session_interval: SessionInterval = None,
    refresher: SessionRefresher = None,
    min_se: MinSe = None,
    reliable: Reliable = None,
    pcap: Pcap = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", rich_help_panel=RESULTS, help="Print the verdicts as JSON, nothing else."),
    ] = False,
) -> None:
    """Call a SIP URI once and judge each step: what works, what fails, why, and what to change where.

    Exit code 0: no step failed. 1: one did. 2: bad usage, or no SIP URI. 3: could not run.
    """
    # All that the package would log is in the verdicts.
    logging.getLogger("tuner_sipbridge").addHandler(logging.NullHandler())
    with errors_as_exit_codes():
        check_writable(None, pcap)
        known = None if provider is None else find_provider(provider)
        access = Access(
            provider=known,
            username=username,
            password=password,
            transport=transport.value,
            tls=tls_settings(tls_ca, tls_cert, tls_key, tls_pin, insecure=insecure),
            public_address=public_address,
            ring_timeout_s=ring_timeout,
            name_server=dns,
            trunks=tuple(trunks_of(trunk)),
            next_target_after_s=next_target_after,
            register=registering(register, registrar),
            srtp=srtp.value,
            codecs=spoken(codec),
            late_offer=late_offer,
            extensions=extensions_of(
                extensions_for(None, known), session_interval, refresher, min_se, reliable
            ),
            headers=pairs_of("--header", header),
            from_user=from_user or None,
        )
        result = asyncio.run(walk(uri, access)) if as_json else shown(uri, access)
        if pcap is not None:
            write_pcap(pcap, result.traces)
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=2, ensure_ascii=False))
    if not result.passed:
        raise typer.Exit(USAGE if result.facts.uri is None else FAILED)
