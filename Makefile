# Two commands matter: `make demo` and `make test`. Both build .venv first, from names and versions in constraints.txt.
.PHONY: demo test faults proof check fix bench build setup peers clean help
.DEFAULT_GOAL := help

# The tests start some hundred Python processes: compiled once, the frameworks are imported in half the time. Empty counts
# as not set, where a container image has set it.
export PYTHONDONTWRITEBYTECODE :=

BIN := .venv/bin
READY := .venv/.ready
PACKAGES := packages/tuner-core packages/tuner-livekit packages/tuner-pipecat packages/tuner-sipbridge

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

$(READY): constraints.txt pyproject.toml $(PACKAGES:=/pyproject.toml) tools/setup.sh
	@sh tools/setup.sh
	@touch $(READY)

setup: $(READY) ## build .venv

demo: $(READY) ## the whole loop, offline: simulated calls into real agents, posted, linked, reported (out/demo)
	@$(BIN)/tuner-sipbridge demo --out out/demo

# Most of the time is spent waiting for calls in real time, so three share two cores; in the order of the
# directories, because the longest come first there.
test: $(READY) peers ## all tests but those of the next two lines
	@$(BIN)/python -m pytest -m "not faults and not proof" -n 3 --dist loadfile --no-loadscope-reorder

faults: $(READY) ## the demo with each fault: exit code 1 and the right words
	@$(BIN)/python -m pytest tests/demo -m faults

proof: $(READY) ## 10,000 records, an unreliable API, 200 processes killed: nothing lost, nothing twice
	@$(BIN)/python -m pytest tests/loopback/test_delivery_proof.py -m proof

check: $(READY) ## ruff, pyright strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-cache

fix: $(READY) ## let ruff mend and format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) peers ## what calls and records cost, and how steady calls are, beside the peers (out/bench)
	@$(BIN)/python -m bench

fuzz: $(READY) ## fuzz messages, calls, SDP, packets, DNS… for SECONDS=60 each, with atheris where it installs
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --group fuzz 2>/dev/null || true
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

build: $(READY) ## the four wheels, built and installed into a clean environment (dist)
	@$(BIN)/python tools/build.py

peers:
	@sh tools/ensure-peers.sh

clean: ## remove what the commands above made
	rm -rf .venv out dist
