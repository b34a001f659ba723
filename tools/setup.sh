#!/bin/sh
# Build .venv: uv is installed into it, then everything else at the versions of constraints.txt.
set -eu

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup: $python is older than 3.11; set PYTHON to a newer one" >&2
  exit 3
}
# Debian's python3 may come without ensurepip; as root we may add it, otherwise we say how.
"$python" -c 'import ensurepip, venv' 2>/dev/null || {
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
  else
    echo "setup: $python has no venv module; install the package python3-venv" >&2
    exit 3
  fi
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "setup: installing into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
.venv/bin/uv pip install --quiet --python .venv/bin/python -c constraints.txt --group dev \
  -e 'packages/tuner-core[all]' -e packages/tuner-livekit -e packages/tuner-pipecat -e 'packages/tuner-sipbridge[demo,opus,g722]'
