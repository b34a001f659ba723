"""`dial` and `run`: simulated calls to any SIP URI."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tuner_sipbridge.batch import BatchResult, run_batch
from tuner_sipbridge.caller.plan import BatchPlan, Target
from tuner_sipbridge.caller.scenario import Scenario
from tuner_sipbridge.cli.exits import FAILED, errors_as_exit_codes
from tuner_sipbridge.cli.extension_options import (
    FollowTransfers,
    MinSe,
    Reliable,
    SessionInterval,
    SessionRefresher,
    extensions_of,
)
from tuner_sipbridge.cli.interruption import Interruption
from tuner_sipbridge.cli.livekit_options import (
    AnswerDigits,
    Attributes,
    MaxCall,
    RoomName,
    TrunkId,
    Via,
    WaitUntilAnswered,
    Way,
    check_options,
    livekit_dialer,
)
from tuner_sipbridge.cli.location_options import (
    DEFAULT_NEXT_TARGET_AFTER_S,
    NameServer,
    NextTargetAfter,
    TrunkTexts,
    trunks_of,
)
from tuner_sipbridge.cli.options import (
    AsJson,
    FromUser,
    FurtherHeaders,
    LinkWait,
    Out,
    Password,
    Pcap,
    ProviderName,
    TunerUrl,
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
from tuner_sipbridge.dialer.dialer import Dialer
from tuner_sipbridge.dialer.provided import dialable, extensions_for
from tuner_sipbridge.link import LinkDesk
from tuner_sipbridge.providers import find_provider
from tuner_sipbridge.report.collect import report_on
from tuner_sipbridge.report.ladder_text import ladder_text
from tuner_sipbridge.report.progress import BatchDisplay
from tuner_sipbridge.report.terminal import print_results, results_console
from tuner_sipbridge.via_livekit.callee import target_of
from tuner_sipbridge.via_livekit.terms import TrunkTerms

if TYPE_CHECKING:
    from tuner_sipbridge.via_livekit.dialer import LiveKitDialer


def dial(
    context: typer.Context,
    uri: Annotated[
        str,
        typer.Argument(
            metavar="SIP-URI",
            help="Whom to call, for example sip:agent@edge.example; with --via livekit also a number.",
        ),
    ],
    scenario: Annotated[Path, typer.Option(help="Scenario file (YAML).")],
    username: Username = None,
    password: Password = None,
    call_id: Annotated[
        str | None, typer.Option(help="Call-ID of the INVITE; of our making by default.")
    ] = None,
    header: FurtherHeaders = None,
    from_user: FromUser = "",
    via: Via = Way.sip,
    trunk_id: TrunkId = "",
    room: RoomName = "",
    answer_dtmf: AnswerDigits = "",
    attribute: Attributes = None,
    max_call: MaxCall = None,
    wait_until_answered: WaitUntilAnswered = True,
    ring_timeout: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="CANCEL after so long without answer.")
    ] = 60.0,
    register: Register = False,
    registrar: RegistrarUri = None,
    provider: ProviderName = None,
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
    follow_transfers: FollowTransfers = False,
    out: Out = None,
    pcap: Pcap = None,
    as_json: AsJson = False,
    tuner: TunerUrl = None,
    link_wait: LinkWait = 15.0,
) -> None:
    """Call one SIP URI, or a number through LiveKit, play one scenario, measure, and say how it went.

    Exit code 0: played to its end (and linked, with --tuner). 1: not. 2: bad usage or file. 3: could not run.
    """
    with errors_as_exit_codes():
        check_options(via, context)
        check_writable(out, pcap)
        known = None if provider is None else find_provider(provider)
        terms = TrunkTerms(
            trunk_id=trunk_id,
            number=from_user,
            username=username or "",
            password=password or "",
            room=room,
            dtmf=answer_dtmf,
            attributes=pairs_of("--attribute", attribute),
            wait_until_answered=wait_until_answered,
            max_call_duration_s=max_call,
        )
        if via is Way.sip:
            dialable(uri, routed=bool(trunk))
        played = Scenario.load(scenario)
        target = Target(
            agent="agent",
            uri=target_of(uri),
            ring_timeout_s=ring_timeout,
            headers=pairs_of("--header", header),
            srtp=srtp.value,
        )
        plan = BatchPlan.of([target], [(played, 1)], name=played.name)
        if via is Way.livekit:
            dialer = livekit_dialer(target.uri, terms)
        else:
            dialer = Dialer(
                username=username,
                password=password,
                from_user=from_user or None,
                transport=transport.value,
                tls=tls_settings(tls_ca, tls_cert, tls_key, tls_pin, insecure=insecure),
                public_address=public_address,
                provider=known,
                register=registering(register, registrar),
                name_server=dns,
                trunks=trunks_of(trunk),
                next_target_after=next_target_after,
                extensions=extensions_of(
                    extensions_for(None, known), session_interval, refresher, min_se, reliable
                ),
                codecs=spoken(codec),
                late_offer=late_offer,
                transfers="follow" if follow_transfers else "decline",
            )
        _carry_out(plan, dialer, 1, tuner, link_wait, out, pcap, as_json=as_json, sip_call_id=call_id)


def run(
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN.yaml", help="Targets, scenarios and repeats.")],
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Calls standing at the same time; the plan's by default.")
    ] = None,
    from_user: FromUser = "",
    register: Register = False,
    registrar: RegistrarUri = None,
    provider: ProviderName = None,
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
    follow_transfers: FollowTransfers = False,
    out: Out = None,
    pcap: Pcap = None,
    as_json: AsJson = False,
    tuner: TunerUrl = None,
    link_wait: LinkWait = 15.0,
) -> None:
    """Play a plan: many calls, so many at once, with progress, a table, and an exit code.

    Exit code 0: all passed. 1: some did not. 2: bad usage or file. 3: could not run.
    """
    with errors_as_exit_codes():
        plan = BatchPlan.load(plan_file)
        check_writable(out, pcap)
        known = None if provider is None else find_provider(provider)
        dialer = Dialer(
            at_once=min(at_once or plan.at_once, len(plan.calls)),
            from_user=from_user or None,
            transport=transport.value,
            tls=tls_settings(tls_ca, tls_cert, tls_key, tls_pin, insecure=insecure),
            public_address=public_address,
            provider=known,
            register=registering(register, registrar),
            name_server=dns,
            trunks=trunks_of(trunk),
            next_target_after=next_target_after,
            extensions=extensions_of(
                extensions_for(None, known), session_interval, refresher, min_se, reliable
            ),
            srtp=srtp.value,
            codecs=spoken(codec),
            late_offer=late_offer,
            transfers="follow" if follow_transfers else "decline",
        )
        _carry_out(plan, dialer, at_once, tuner, link_wait, out, pcap, as_json=as_json)


def _carry_out(
    plan: BatchPlan,
    dialer: Dialer | LiveKitDialer,
    at_once: int | None,
    tuner: str | None,
    link_wait: float,
    out: Path | None,
    pcap: Path | None,
    *,
    as_json: bool,
    sip_call_id: str | None = None,
) -> None:
    interruption = Interruption()
    batch = _run(
        plan, dialer, at_once, tuner, link_wait, out, interruption, as_json=as_json, sip_call_id=sip_call_id
    )
    _finish(asyncio.run(batch), out, pcap, interruption, as_json=as_json)


async def _run(
    plan: BatchPlan,
    dialer: Dialer | LiveKitDialer,
    at_once: int | None,
    tuner: str | None,
    link_wait: float,
    out: Path | None,
    interruption: Interruption,
    *,
    as_json: bool,
    sip_call_id: str | None,
) -> BatchResult:
    async with AsyncExitStack() as stack:
        stack.enter_context(interruption.watched())
        display = stack.enter_context(
            BatchDisplay(Console(stderr=True, quiet=as_json), calls=len(plan.calls))
        )
        desk = await stack.enter_async_context(LinkDesk(tuner)) if tuner is not None else None
        return await run_batch(
            plan,
            await stack.enter_async_context(dialer),
            environ=os.environ,
            at_once=at_once,
            desk=desk,
            link_wait_s=link_wait,
            out=out / "calls" if out is not None else None,
            on_progress=display,
            sip_call_id=sip_call_id,
            call_ids_of_others=not isinstance(dialer, Dialer),
            stop=interruption.stop,
        )


def _finish(
    batch: BatchResult, out: Path | None, pcap: Path | None, interruption: Interruption, *, as_json: bool
) -> None:
    result = report_on(batch, out=out)
    if pcap is not None:
        write_pcap(pcap, [call.run.trace for call in batch.calls])
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        print_results(result, results_console())
        if len(batch.calls) == 1 and not batch.calls[0].run.outcome.passed:
            typer.echo(ladder_text(batch.calls[0].run.trace), nl=False)
        if out is not None:
            typer.echo(f"report: {out / 'report.html'}")
    if interruption.number:
        raise typer.Exit(interruption.exit_code)
    if not result.passed:
        raise typer.Exit(FAILED)
