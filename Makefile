# make run     start the recorder in the foreground
# make demo    provoke a real, contained OOM kill and show what was recorded
# make test    all tests           make check   ruff, mypy, direction of imports
# make bench   cost of sampling against a C loop that only reads
# make soak    the whole daemon under everything at once, for half an hour: ARGS='--hours 24', '--minutes 3'
#              ARGS=--exporter: the exporter alone
# make deb     dist/memwatchd_VERSION_all.deb, by Debian's tools; built twice, compared, and looked at by lintian
# make lab-smoke  whether the lab works: one kill in a virtual machine, without and with memwatchd (docs/lab.md)
# make package-trial  the package of make deb in a virtual machine: installed, used, upgraded, purged (about 5 minutes)
# make lab     every scenario with every daemon; takes hours, goes on where it was
VENV ?= .venv
BIN = $(VENV)/bin
export VENV

.PHONY: deb run demo test check bench soak fixtures clean lab lab-smoke package-trial

run: $(VENV)/.runtime
	$(BIN)/memwatchd run $(ARGS)

demo: $(VENV)/.runtime
	$(BIN)/python scripts/demo

test: $(VENV)/.dev
	$(BIN)/pytest $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest --quiet tests/test_layers.py

bench: $(VENV)/.dev bench/floor
	$(BIN)/python -m bench $(ARGS)

bench/floor: bench/floor.c
	cc -O2 -Wall -Wextra -o $@ $<

soak: $(VENV)/.runtime
	$(BIN)/python -m soak $(ARGS)

deb:
	scripts/build-deb $(ARGS)

lab-smoke: $(VENV)/.runtime
	scripts/setup-lab
	$(BIN)/python lab/all.py --smoke $(ARGS)

package-trial: $(VENV)/.runtime
	scripts/setup-lab
	$(BIN)/python lab/package.py $(ARGS)

lab: $(VENV)/.runtime
	scripts/setup-lab
	$(BIN)/python lab/all.py $(ARGS)

fixtures: $(VENV)/.runtime
	$(BIN)/python scripts/capture-fixtures

$(VENV)/.runtime: pyproject.toml scripts/setup
	scripts/setup
	touch $@

$(VENV)/.dev: pyproject.toml scripts/setup
	scripts/setup dev
	touch $@ $(VENV)/.runtime

clean:
	rm -rf $(VENV) build dist bench/floor src/*.egg-info
