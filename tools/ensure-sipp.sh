#!/bin/sh
# SIPp is the independent SIP peer of the interop tests and the bench; Debian packs it as sip-tester.
set -eu
command -v sipp >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "tests: installing sip-tester (SIPp)"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends sip-tester >/dev/null
else
  echo "tests: SIPp is missing; install the package sip-tester" >&2
  exit 3
fi
