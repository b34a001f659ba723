#!/bin/sh
# Programs that the tests talk to and pip cannot install: SIPp (Debian's sip-tester) is the independent SIP peer,
# baresip the telephone with an SRTP of its own, Kamailio the proxy and registrar, Redis the store that several workers
# share, Chromium the browser that looks at the local Tuner, tshark (Wireshark's command line) the reader of our capture
# files, dnsmasq the name server.
set -eu
missing=
command -v sipp >/dev/null || missing="$missing sip-tester"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v dnsmasq >/dev/null || missing="$missing dnsmasq-base"
command -v chromium >/dev/null || missing="$missing chromium"
command -v tshark >/dev/null || missing="$missing tshark"
command -v kamailio >/dev/null || missing="$missing kamailio"
[ -e /usr/lib/*/kamailio/modules/tls.so ] || missing="$missing kamailio-tls-modules"
command -v baresip >/dev/null || missing="$missing baresip-core"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "tests: installing$missing"
  apt-get update -qq
  # A package that starts a service here would be a process that nobody asked for.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "tests: missing:$missing (packages of Debian)" >&2
  exit 3
fi
