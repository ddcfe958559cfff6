# The table of contents of the project: `make` alone prints it.

VENV := .venv
BIN := $(VENV)/bin
TRAIN := var/venv-train
PORT ?= 8400
DATA ?= $(or $(SMALLPRINT_DATA),var/data)
PYTEST ?= -q
PROCESSES ?= 3
EXAMPLES ?= 200
DOCS ?= 30
KILLS ?= 8
OTHERS = document-kind triage-breaks line-concepts triage-peers narrative-flags review-priority
EMBEDDED = tests/unit tests/contract tests/integration tests/architecture
TRAINING = $(shell grep -rl 'pytest.mark.training' tests --include 'test_*.py')
.DEFAULT_GOAL := help
.SHELLFLAGS := -euo pipefail -c
SHELL := bash

help: ## Print this.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use
setup: ## Build .venv with the command smallprint in it (hashed requirements, no root).
	@infra/setup.sh $(VENV) run

demo: setup ## Start the suite with sample documents, and open the error that it finds in them.
	@exec $(BIN)/smallprint demo --port $(PORT)

run: setup ## Start the embedded edition on this machine alone (PORT=8400 DATA=var/data).
	@exec $(BIN)/smallprint serve --port $(PORT) --data $(DATA)

run-kafka: setup-kafka ## Start every service as its own process on a real Kafka broker, without Docker.
	@exec $(BIN)/python -m infra.run_kafka --port $(PORT) --data $(DATA)-kafka

field-bundle: setup ## Make the archive that installs on a laptop without network; its path is the last line.
	@$(BIN)/python -m infra.release.field_bundle

wheel: setup ## Build the wheel for `pipx install`, with the models in it; its path is the last line.
	@$(BIN)/python -m infra.release.wheel

##@ Check
check: setup-dev ## Format, lint, types, import arrows. Seconds (FILES="a b" looks at those alone).
	@failed=; \
	$(BIN)/ruff format --check --output-format concise $(FILES) || failed+=" format(make format)"; \
	$(BIN)/ruff check --quiet --output-format concise $(FILES) || failed+=" lint"; \
	$(BIN)/mypy $(FILES) || failed+=" types"; \
	$(BIN)/pytest -q --no-header tests/architecture/test_arrows.py || failed+=" imports"; \
	[ -z "$$failed" ] || { echo "check failed:$$failed" >&2; exit 1; }

test: setup-dev ## The tests that need nothing but this machine: minutes (PYTEST="-k bus" to choose).
	@$(BIN)/pytest -n $(PROCESSES) --dist loadfile -m "not needs" $(EMBEDDED) $(PYTEST)

test-all: setup-dev ## The rest: broker, PostgreSQL, S3, browser, real data, whole suites, bundle, chaos in short.
	@$(BIN)/pytest -n 2 --dist loadfile -m needs $(patsubst %,--ignore=%,$(TRAINING)) $(PYTEST)

fuzz-http: setup-dev ## Ask every route for what OpenAPI says, longer than `make test-all` does (EXAMPLES=200).
	@SMALLPRINT_TEST_EXAMPLES=$(EXAMPLES) $(BIN)/pytest --timeout 7200 tests/system/test_openapi.py $(PYTEST)

chaos: setup-dev ## Prove that nothing is lost or done twice whatever dies (DOCS=1000 KILLS=200 SEED=1 BREAK=inbox).
	@$(BIN)/python -m tests.chaos --documents $(DOCS) --kills $(KILLS) $(if $(SEED),--seed $(SEED)) $(if $(BREAK),--break $(BREAK))

test-train: setup-train ## The tests of the training side, on small models.
	@$(TRAIN)/bin/python -m pytest $(TRAINING) $(PYTEST)

bench: setup-dev ## Measure: seconds a document, tokens a second, memory.
	@$(BIN)/python -m tests.bench

bench-triage: setup-dev ## Measure: time of reports and structured filings, against its bounds (SOURCES=FOLDER).
	@SMALLPRINT_TEST_DATA="$(or $(SOURCES),$(SMALLPRINT_TEST_DATA))" $(BIN)/python -m tests.bench.triage

load: setup-dev ## Measure: documents a second, waits and memory of both editions under load (SOURCES=FOLDER STEADY=3600 OUT=FILE).
	@infra/setup.sh var/venv-load load
	@$(BIN)/python -m tests.load $(if $(SOURCES),--sources "$(SOURCES)") $(if $(STEADY),--steady $(STEADY)) $(if $(OUT),--out "$(OUT)")

bench-legal: setup-train ## Measure: the specialist in INT4, INT8 and fp32 beside each other.
	@$(TRAIN)/bin/python -m tests.bench.legal
	@$(TRAIN)/bin/python -m tests.bench.adapters
	@$(TRAIN)/bin/python -m tests.bench.steady

specialists: setup-train ## Make all specialists from the data: hours (LEGAL=FOLDER SOURCES=FOLDER; ONLY=name: that of contracts).
	@$(TRAIN)/bin/python -m models.clauses.pipeline --data "$(LEGAL)" $(if $(ONLY),--only "$(ONLY)")
	$(if $(SOURCES),@$(MAKE) --no-print-directory $(OTHERS))

document-kind: setup-train ## Make the specialist that tells contracts from reports from the data (SOURCES=FOLDER).
	@$(TRAIN)/bin/python -m models.document_kind.read_originals --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.document_kind.other_documents
	@$(TRAIN)/bin/python -m models.document_kind --data "$(SOURCES)" --out models/artefacts
	@$(TRAIN)/bin/python -m models.document_kind.states --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.document_kind --data "$(SOURCES)" --only-head
	@$(TRAIN)/bin/python -m models.document_kind.scores
	@$(TRAIN)/bin/python -m models.document_kind.pages
	@$(TRAIN)/bin/python -m models.evaluation.card models/document_kind

triage-breaks: setup-train ## Make the specialist that tells errors in reports from presentation (SOURCES=FOLDER DISMISSED=FILE).
	@$(TRAIN)/bin/python -m models.triage_breaks --data "$(SOURCES)" --out models/artefacts --ablations $(if $(DISMISSED),--dismissed "$(DISMISSED)")
	@$(TRAIN)/bin/python -m models.triage_breaks.baselines --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.triage_breaks.corrected --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.triage_breaks.implied_shares --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.triage_breaks.scores
	@$(TRAIN)/bin/python -m models.triage_breaks.guarantee
	@$(TRAIN)/bin/python -m models.triage_breaks.rules_scores "$(SOURCES)"

line-concepts: setup-train ## Make the specialist that names the lines of statements (SOURCES=FOLDER BASE=FOLDER).
	@$(TRAIN)/bin/python -m models.line_concepts.adapter --data "$(SOURCES)" --base "$(or $(BASE),var/specialists/base)"
	@$(TRAIN)/bin/python -m models.line_concepts --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.line_concepts.pace --data "$(SOURCES)"

review-priority: setup-train ## Make the specialist that orders the review queue from the data (LEGAL=FOLDER).
	@$(TRAIN)/bin/python -m models.review_priority.states --data "$(LEGAL)"
	@$(TRAIN)/bin/python -m models.review_priority --data "$(LEGAL)" --states var/priority --out models/artefacts
	@$(TRAIN)/bin/python -m models.review_priority.scores

triage-peers: setup-dev ## Learn what is usual among companies, for signals, and write their card (SOURCES=FOLDER).
	@$(BIN)/python -m models.triage_peers.__main__ --data "$(SOURCES)" --out models/artefacts

narrative-flags: setup-train ## Make the specialist that reads what reports say of their filer (SOURCES=FOLDER).
	@$(TRAIN)/bin/python -m models.narrative_flags.states --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.narrative_flags --data "$(SOURCES)" --out models/artefacts
	@$(TRAIN)/bin/python -m models.narrative_flags.scores
	@$(TRAIN)/bin/python -m models.narrative_flags.folds --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.narrative_flags.filings --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.evaluation.card models/narrative_flags

##@ Develop
setup-dev: ## The same .venv with what tests and `make check` need.
	@infra/setup.sh $(VENV) run kafka s3 dev

setup-kafka: ## The same .venv with the clients of Kafka, PostgreSQL and S3.
	@infra/setup.sh $(VENV) run kafka s3

setup-train: ## A second environment, var/venv-train, with torch and its kin (several GB).
	@infra/setup.sh $(TRAIN) run dev train

format: setup-dev ## Put all code into the one format.
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix-only .

docs: ## Build the documentation as a site into build/site; a broken link fails.
	@infra/setup.sh var/venv-docs docs
	@NO_MKDOCS_2_WARNING=1 var/venv-docs/bin/mkdocs build

pictures: setup-dev ## Make the pictures of the documentation: screenshots of the running suite, the architecture.
	@$(BIN)/python -m infra.docs.pictures

demo-documents: setup-dev ## Write the documents of `smallprint demo` again, from the texts in infra/docs/demo.
	@$(BIN)/python -m infra.docs.demo_documents

schemas: setup-dev ## Write OpenAPI, AsyncAPI, and the reference pages of settings, commands and routes.
	@$(BIN)/python -m infra.docs.schemas

sbom: setup-dev ## Write build/sbom.cdx.json and build/licences.md: what ships, and under which licence.
	@$(BIN)/python -m infra.release.sbom

release: setup-dev ## Make a release in build/release: wheel, field bundle, licences, changes, checksums.
	@$(BIN)/python -m infra.release

requirements: setup ## Pin anew: compile requirements/*.in into hashed *.txt.
	@infra/requirements.sh

clean: ## Remove environments, caches and build output; documents in var/data stay.
	rm -rf $(VENV) $(VENV).lock $(VENV).log $(TRAIN) $(TRAIN).lock $(TRAIN).log build dist *.egg-info \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help setup demo run run-kafka field-bundle wheel check test test-all fuzz-http chaos test-train bench bench-triage load bench-legal \
	specialists document-kind triage-breaks line-concepts review-priority triage-peers narrative-flags setup-dev setup-kafka \
	setup-train format docs pictures demo-documents schemas sbom release requirements clean
