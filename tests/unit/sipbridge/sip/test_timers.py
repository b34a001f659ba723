from tuner_sipbridge.sip.timers import DEFAULT_TIMERS, Timers


def test_defaults_are_table_4_of_rfc_3261():
    timers = DEFAULT_TIMERS
    assert (timers.a, timers.e, timers.g) == (0.5, 0.5, 0.5)
    assert (timers.b, timers.f, timers.h, timers.j) == (32.0, 32.0, 32.0, 32.0)
    assert (timers.i, timers.k) == (5.0, 5.0)
    assert (timers.d, timers.l, timers.m) == (32.0, 32.0, 32.0)


def test_a_reliable_transport_repeats_nothing_and_waits_for_no_repeats():
    timers = Timers(reliable=True)
    assert (timers.a, timers.e, timers.g) == (None, None, None)
    assert (timers.d, timers.i, timers.j, timers.k) == (0.0, 0.0, 0.0, 0.0)
    assert (timers.b, timers.f, timers.h, timers.l, timers.m) == (32.0, 32.0, 32.0, 32.0, 32.0)


def test_only_udp_loses_messages():
    timers = Timers(t1=0.1)
    assert [timers.over(transport).a for transport in ("udp", "tcp", "tls")] == [0.1, None, None]


def test_all_of_them_follow_the_base_values():
    timers = Timers(t1=0.01, t2=0.04, t4=0.05)
    assert (timers.b, timers.d, timers.i) == (0.64, 0.64, 0.05)
