# Every target installs what it needs, does it once, and works offline afterwards.
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
SHELL := /bin/bash
export VENV

.DEFAULT_GOAL := help
.PHONY: help run chainlit demo bench test test-clients check format setup console wheel lock audit site clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

run: ## Serve on http://127.0.0.1:8000, with the Chainlit page under /chat (ARGS="--port 9000 my_module:agent")
	@scripts/setup.sh run
	@scripts/setup-chainlit.sh || echo '  The Chainlit page could not be set up; the server starts without it.' >&2
	@grep -qs '^KAIWA_CHAINLIT=' .env || export KAIWA_CHAINLIT=$${KAIWA_CHAINLIT:-true}; $(BIN)/kaiwa serve $(ARGS)

chainlit: ## Serve the Chainlit page alone on http://127.0.0.1:8001, before the kaiwa at KAIWA_URL
	@scripts/setup.sh run
	@scripts/setup-chainlit.sh
	@.venv-chainlit/bin/python ui/chainlit/serve.py

demo: ## Let a simulated caller book a rental car by voice, in Japanese (ARGS="--lang en")
	@scripts/setup.sh run
	@$(BIN)/kaiwa demo $(ARGS)

bench: ## Measure the server beside its peers; writes bench/latest.json
	@scripts/setup.sh dev
	@scripts/setup-peers.sh
	@$(BIN)/python -m bench $(ARGS)

test: check ## Run the checks and every test, two at a time (ARGS="tests/session -k barge"; -n 0: one)
	@$(BIN)/python -m pytest -n 2 $(ARGS)

test-clients: ## Let the other official clients call: frameworks, browsers, whole spoken calls
	@scripts/setup.sh dev
	@scripts/setup-clients.sh
	@$(BIN)/python -m pytest --clients $(ARGS)
	@$(BIN)/python -m tests.clients.outcomes
	@$(BIN)/python -m tests.interaction.outcomes
	@$(BIN)/python -m tests.docs.features

check: ## Lint, formatting, types, the rooms' import rules, dependencies, and the documentation
	@scripts/setup.sh dev
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { $(BIN)/ruff format --check; exit 1; }
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest --quiet --no-header tests/security/test_dependencies.py tests/docs/test_links.py
	@scripts/site.sh
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml

format: ## Format the code and sort its imports
	@scripts/setup.sh dev
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format --quiet

setup: ## Install everything that development needs
	@scripts/setup.sh dev

console: ## Build the web console from web/ into the package
	@scripts/setup.sh dev
	@cd web && npm run --silent check && npm run --silent build

wheel: ## Build the wheel and the source archive into dist/
	@scripts/setup.sh run
	@$(BIN)/hatchling build -d dist

audit: ## Ask the index and advisory services about every locked package (needs a network)
	@scripts/setup.sh dev
	@scripts/audit.sh

site: ## Build the documentation into build/site
	@scripts/setup.sh dev
	@scripts/site.sh

lock: ## Renew the lock files (ARGS=--upgrade for newer versions)
	@scripts/setup.sh dev
	@scripts/lock.sh $(ARGS)

clean: ## Remove the virtual environment and everything that was built
	@rm -rf $(VENV) .funcs build dist site {tests/clients/js,web}/node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
