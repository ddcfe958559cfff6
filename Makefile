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
OTHERS = triage-breaks line-concepts triage-peers narrative-flags review-priority document-kind
EMBEDDED = tests/unit tests/contract tests/integration tests/architecture
TRAINING = $(shell grep -rl 'pytest.mark.training' tests --include 'test_*.py')
.DEFAULT_GOAL := help
.SHELLFLAGS := -euo pipefail -c
SHELL := bash

help: ## Print this list.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use
setup: ## Make .venv with the command smallprint; no root.
	@infra/setup.sh $(VENV) run

demo: setup ## Start the suite with sample documents (PORT=8400).
	@exec $(BIN)/smallprint demo --port $(PORT)

run: setup ## Start the suite in one process (PORT=8400 DATA=var/data).
	@exec $(BIN)/smallprint serve --port $(PORT) --data $(DATA)

run-kafka: setup-kafka ## Start each service on its own, with Kafka, without Docker.
	@exec $(BIN)/python -m infra.run_kafka --port $(PORT) --data $(DATA)-kafka

field-bundle: setup ## Make the archive for laptops without network.
	@$(BIN)/python -m infra.release.field_bundle

wheel: setup ## Make the wheel for `pipx install`, with all models.
	@$(BIN)/python -m infra.release.wheel

##@ Check
check: setup-dev ## Check format, lint, types and imports (FILES="a b").
	@failed=; \
	$(BIN)/ruff format --check --output-format concise $(FILES) || failed+=" format(make format)"; \
	$(BIN)/ruff check --quiet --output-format concise $(FILES) || failed+=" lint"; \
	$(BIN)/mypy $(FILES) || failed+=" types"; \
	$(BIN)/pytest -q --no-header tests/architecture/test_arrows.py || failed+=" imports"; \
	[ -z "$$failed" ] || { echo "check failed:$$failed" >&2; exit 1; }

test: setup-dev ## Run the tests that need only this machine (PYTEST="-k bus").
	@$(BIN)/pytest -n $(PROCESSES) --dist loadfile -m "not needs" $(EMBEDDED) $(PYTEST)

test-all: setup-dev ## Run the others: broker, databases, browser, real data, chaos.
	@$(BIN)/pytest -n 2 --dist loadfile -m needs $(patsubst %,--ignore=%,$(TRAINING)) $(PYTEST)

fuzz-http: setup-dev ## Try every route with generated requests (EXAMPLES=200).
	@SMALLPRINT_TEST_EXAMPLES=$(EXAMPLES) $(BIN)/pytest --timeout 7200 tests/system/test_openapi.py $(PYTEST)

chaos: setup-dev ## Kill processes: nothing is lost (DOCS=1000 KILLS=200 SEED=1).
	@$(BIN)/python -m tests.chaos --documents $(DOCS) --kills $(KILLS) $(if $(SEED),--seed $(SEED)) $(if $(BREAK),--break $(BREAK))

test-train: setup-train ## Run the tests of training, on small models.
	@$(TRAIN)/bin/python -m pytest $(TRAINING) $(PYTEST)

bench: setup-dev ## Measure seconds a document, tokens a second, memory.
	@$(BIN)/python -m tests.bench

bench-review: setup-dev ## Measure the pages with a scripted analyst (SOURCES=FOLDER).
	@SMALLPRINT_TEST_DATA="$(or $(SOURCES),$(SMALLPRINT_TEST_DATA))" $(BIN)/python -m tests.bench.analyst

bench-triage: setup-dev ## Measure the time of reports (SOURCES=FOLDER).
	@SMALLPRINT_TEST_DATA="$(or $(SOURCES),$(SMALLPRINT_TEST_DATA))" $(BIN)/python -m tests.bench.triage

load: setup-dev ## Measure both editions under load (SOURCES=FOLDER STEADY=3600).
	@infra/setup.sh var/venv-load load
	@$(BIN)/python -m tests.load $(if $(SOURCES),--sources "$(SOURCES)") $(if $(STEADY),--steady $(STEADY)) $(if $(OUT),--out "$(OUT)")

bench-legal: setup-train ## Compare the clause model in INT4, INT8 and fp32.
	@$(TRAIN)/bin/python -m tests.bench.legal
	@$(TRAIN)/bin/python -m tests.bench.adapters
	@$(TRAIN)/bin/python -m tests.bench.steady

specialists: setup-train ## Train all models: hours (LEGAL=FOLDER SOURCES=FOLDER ONLY=name).
	@$(TRAIN)/bin/python -m models.clauses.pipeline --data "$(LEGAL)" $(if $(ONLY),--only "$(ONLY)")
	$(if $(SOURCES),@$(MAKE) --no-print-directory $(OTHERS))

document-kind: setup-train ## Train the model for kinds of documents (SOURCES=FOLDER).
	@$(TRAIN)/bin/python -m models.document_kind.read_originals --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.document_kind.other_documents
	@$(TRAIN)/bin/python -m models.document_kind --data "$(SOURCES)" --out models/artefacts
	@$(TRAIN)/bin/python -m models.document_kind.scores
	@$(TRAIN)/bin/python -m models.document_kind.pages
	@$(TRAIN)/bin/python -m models.evaluation.card models/document_kind

triage-breaks: setup-train ## Train the model for errors in reports (SOURCES=FOLDER).
	@$(TRAIN)/bin/python -m models.triage_breaks --data "$(SOURCES)" --out models/artefacts --ablations $(if $(DISMISSED),--dismissed "$(DISMISSED)")
	@$(TRAIN)/bin/python -m models.triage_breaks.baselines --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.triage_breaks.corrected --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.triage_breaks.implied_shares --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.triage_breaks.scores
	@$(TRAIN)/bin/python -m models.triage_breaks.guarantee
	@$(TRAIN)/bin/python -m models.triage_breaks.rules_scores "$(SOURCES)"

line-concepts: setup-train ## Train the model for lines of statements (SOURCES= BASE=).
	@$(TRAIN)/bin/python -m models.line_concepts.adapter --data "$(SOURCES)" --base "$(or $(BASE),var/specialists/base)"
	@$(TRAIN)/bin/python -m models.line_concepts --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.line_concepts.pace --data "$(SOURCES)"

review-priority: setup-train ## Train the model that orders the queue (LEGAL=FOLDER).
	@$(TRAIN)/bin/python -m models.review_priority --data "$(LEGAL)" --out models/artefacts
	@$(TRAIN)/bin/python -m models.review_priority.scores

triage-peers: setup-dev ## Learn the usual ratios of companies (SOURCES=FOLDER).
	@$(BIN)/python -m models.triage_peers.__main__ --data "$(SOURCES)" --out models/artefacts

narrative-flags: setup-train ## Train the model for sentences of reports (SOURCES=FOLDER).
	@$(TRAIN)/bin/python -m models.narrative_flags --data "$(SOURCES)" --out models/artefacts
	@$(TRAIN)/bin/python -m models.narrative_flags.scores
	@$(TRAIN)/bin/python -m models.narrative_flags.folds --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.narrative_flags.filings --data "$(SOURCES)"
	@$(TRAIN)/bin/python -m models.evaluation.card models/narrative_flags

techniques: setup-train ## Compare training techniques: hours (LEGAL= BASE= ONLY=qlora).
	@$(TRAIN)/bin/python -m models.techniques models/clauses/contract-clauses --data "$(LEGAL)" --base "$(or $(BASE),var/specialists/base)" $(if $(ONLY),--only $(ONLY))

##@ Develop
setup-dev: ## Add to .venv what tests and checks need.
	@infra/setup.sh $(VENV) run kafka s3 dev

setup-kafka: ## Add to .venv the clients of Kafka, PostgreSQL and S3.
	@infra/setup.sh $(VENV) run kafka s3

setup-train: ## Make var/venv-train with torch (several GB).
	@infra/setup.sh $(TRAIN) run dev train

format: setup-dev ## Format all code.
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix-only .

docs: ## Build the documentation into build/site.
	@infra/setup.sh var/venv-docs docs
	@NO_MKDOCS_2_WARNING=1 var/venv-docs/bin/mkdocs build

pictures: setup-dev ## Make the pictures of the documentation again.
	@$(BIN)/python -m infra.docs.pictures

demo-documents: setup-dev ## Write the sample documents of the demo again.
	@$(BIN)/python -m infra.docs.demo_documents

schemas: setup-dev ## Write OpenAPI, AsyncAPI and the generated reference pages.
	@$(BIN)/python -m infra.docs.schemas

sbom: setup-dev ## Write the packages and their licences into build/.
	@$(BIN)/python -m infra.release.sbom

release: setup-dev ## Make a release in build/release.
	@$(BIN)/python -m infra.release

requirements: setup ## Compile requirements/*.in into hashed *.txt again.
	@infra/requirements.sh

audit-packages: ## Search the pinned packages for known faults; needs the network.
	@infra/setup.sh var/venv-audit audit
	@failed=; for file in requirements/*.txt; do echo "$$file"; \
		var/venv-audit/bin/pip-audit --strict --disable-pip --require-hashes -r "$$file" || failed=1; \
	done; [ -z "$$failed" ]

pin-images: ## Write the digests of foreign images; needs Docker and the network.
	@infra/pin_images.sh

clean: ## Remove environments, caches and build output; keep var/data.
	rm -rf $(VENV) $(VENV).lock $(VENV).log $(TRAIN) $(TRAIN).lock $(TRAIN).log build dist *.egg-info \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help setup demo run run-kafka field-bundle wheel check test test-all fuzz-http chaos test-train bench bench-review bench-triage load bench-legal \
	specialists document-kind triage-breaks line-concepts review-priority triage-peers narrative-flags techniques setup-dev setup-kafka \
	setup-train format docs pictures demo-documents schemas sbom release requirements audit-packages pin-images clean
