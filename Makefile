# `make` alone lists what there is. PORT, HOST and DATABASE_URL are honoured by `make run`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
SETUP = $(or $(PYTHON),$(error Python 3.11 or newer is needed)) -P portal/demo/install.py

.PHONY: help run test lint bench translations demo-call setup clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

run: ## the demo: portal, worker and Stripe simulator; prints address and logins
	@$(SETUP)
	@exec $(BIN)/python -m portal.demo.run

demo-call: ## one AI call, at speaking pace, against the running demo
	@$(SETUP)
	@exec $(BIN)/python -m portal.demo.run --inside flask --app wsgi demo call

test: ## everything: lint, types, all tests on SQLite and MariaDB, browser tests
	@exec $(or $(PYTHON),python3) .ci/test.py

lint: ## lint, format, types, templates
	@exec $(or $(PYTHON),python3) .ci/test.py lint

bench: ## measure with a large set of data
	@$(SETUP) --dev
	@exec $(BIN)/python -m bench

translations: ## collect the texts, update and compile the catalogue
	@$(SETUP) --dev
	$(BIN)/pybabel --quiet extract --mapping-file babel.cfg --keyword _l --keyword lazy_gettext --keyword lazy_ngettext:1,2 \
		--no-wrap --sort-output --no-location --ignore-dirs '.* node_modules instance static tests bench' \
		--project Empfang --output-file portal/translations/messages.pot .
	$(BIN)/pybabel --quiet update --input-file portal/translations/messages.pot --output-dir portal/translations \
		--no-wrap --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	$(BIN)/pybabel --quiet compile --directory portal/translations

setup: ## environment, packages and browser files, for working on the portal
	@$(SETUP) --dev

clean: ## remove all that was made, but the data in instance/
	rm -rf .venv node_modules static/vendor .cache .hypothesis test-results
	find portal/translations -name '*.mo' -delete
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
