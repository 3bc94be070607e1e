# `make build`, `make check`, `make demo` and `make dist` need only Go and make, and any
# user can run them. `make setup` installs what the tests and Docker labs need (an engine,
# iptables, QEMU, chromium), as root.

VERSION  ?= $(shell scripts/version)
FUZZTIME ?= 60s

# The binary is copied into containers FROM scratch, which have no libc. Without
# cgo nothing here needs a C compiler.
export CGO_ENABLED := 0
# In a clone that another user owns, git refuses to answer, and go would refuse to
# build. This is in the environment so that builds inside tests get it as well.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)
# sudo drops /usr/local/go/bin, where go.dev's archive puts Go; a plain su drops
# the sbin folders, where Debian puts iptables.
export PATH := $(PATH):/usr/sbin:/sbin:/usr/local/go/bin

# The packages that have other code in a build for tests (-tags testhooks), which can
# be made to die or to panic at a given point. The shipped binary is not such a build;
# the tests of cmd/snatlab build and run both.
HOOKED = $(sort $(dir $(shell grep -rl --include='*.go' '^//go:build testhooks' ./cmd ./harness)))

# -s -w leave out the tables that debuggers and profilers read, a third of the file. The
# stack of a panic does not need them, and `go version -m` still lists the modules.
BUILD = go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'

# GNU's names of the folders that `make install` writes to. DESTDIR is a folder that
# stands for the root of another machine, for those who make packages.
PREFIX          ?= /usr/local
prefix          ?= $(PREFIX)
exec_prefix     ?= $(prefix)
bindir          ?= $(exec_prefix)/bin
datarootdir     ?= $(prefix)/share
mandir          ?= $(datarootdir)/man
docdir          ?= $(datarootdir)/doc/snatlab
# The program reads /etc/snatlab, as programs of /usr/local do on most systems.
sysconfdir      ?= $(if $(filter /usr /usr/local,$(prefix)),/etc,$(prefix)/etc)
# The folders in which systemd and the shells look. Those of zsh differ: that of
# Debian's packages is /usr/share/zsh/vendor-completions.
unitdir         ?= $(prefix)/lib/systemd/system
bashcompletions ?= $(datarootdir)/bash-completion/completions
zshcompletions  ?= $(datarootdir)/zsh/site-functions
fishcompletions ?= $(datarootdir)/fish/vendor_completions.d
# The program to install. RUNNABLE is the same program for this machine: it writes the
# manual pages and the completions.
BINARY          ?= bin/snatlab
RUNNABLE        ?= $(BINARY)
FOLDERS = DESTDIR bindir mandir docdir sysconfdir unitdir bashcompletions zshcompletions fishcompletions

.PHONY: bench build check cluster-down cluster-up figures lint test test-crash test-dist test-engines test-kubernetes test-matrix test-window demo demo-docker setup kernels engines fuzz simulate vuln install uninstall image dist clean help

# The first target is the default. It has no prerequisites: go knows what is out of
# date.
build: ## bin/snatlab, one static binary (the default)
	$(BUILD) -o bin/snatlab ./cmd/snatlab

# A program that is there is not built again: root would leave files of its own among
# those of the user.
install: $(BINARY) ## the program, manual pages, completions, units and docs, below PREFIX (/usr/local)
	@$(foreach f,$(FOLDERS) BINARY RUNNABLE,$(f)='$($(f))') scripts/install install

uninstall: $(BINARY) ## remove what `make install` installs; results are kept
	@$(foreach f,$(FOLDERS) BINARY RUNNABLE,$(f)='$($(f))') scripts/install uninstall

bin/snatlab:
	@$(MAKE) --no-print-directory build

image: build ## bin/probe.tar, a container image of the program (an OCI archive); no engine is needed
	bin/snatlab image --output bin/probe.tar

# The same commit gives the same files on every machine, with the same release of Go.
ARCHITECTURES ?= amd64 arm64
dist: build ## packages in dist/: .tar.gz, .deb, .rpm, image and list of modules, for amd64 and arm64
	rm -rf dist
	@for arch in $(ARCHITECTURES); do \
		echo "$$arch"; \
		GOARCH=$$arch $(BUILD) -o bin/$$arch/snatlab ./cmd/snatlab && \
		VERSION='$(VERSION)' RUNNABLE=bin/snatlab scripts/package $$arch bin/$$arch/snatlab dist || exit; \
	done
	@cd dist && sha256sum snatlab* >SHA256SUMS && ls -sh

# About a minute of CPU time, and about five to compile all of it the first time.
# -short leaves out the tests that need privilege, an engine or other kernels, also
# for root: nothing on this machine is changed.
check: lint ## vet, staticcheck, gofmt, and the tests that need only Go; any user
	go test -short -count=1 -tags testhooks ./...

lint:
	go vet ./...
	go vet -tags testhooks $(HOOKED)
	go tool -modfile=tools/go.mod staticcheck ./...
	go tool -modfile=tools/go.mod staticcheck -tags testhooks $(HOOKED)
	@files=$$(gofmt -l .) && test -z "$$files" || { echo "gofmt -w these: $$files" >&2; exit 1; }

# The tests of packaging compile a large program, and those of cmd/snatlab mostly wait for a
# lab: begun first, they share the machine well. lint has vetted all of them.
test: setup lint ## vet, staticcheck, gofmt, every test, and each fuzz target for a moment
	go test -vet=off -count=1 -tags testhooks -timeout 40m ./packaging ./cmd/snatlab ./...
	@$(MAKE) --no-print-directory fuzz FUZZTIME=1000x

# An hour and a half: 340 runs on Docker and 240 in namespaces die, 10 s and 3 s each.
test-crash: setup ## kill runs at every step, and change the host during runs
	go test -count=1 -v -timeout 180m ./cmd/snatlab -suite crash

# A minute an engine, and a minute more the first time, to fetch it. Needs root and
# debootstrap. The engine that runs on this machine is not used.
test-engines: setup ## every engine of `make engines`, each in namespaces of its own
	go test -count=1 -v -timeout 60m ./cmd/snatlab -suite engines

# Several minutes, for a Debian system that is installed in /var/tmp and removed. Needs
# root and debootstrap.
test-dist: dist ## build the packages again elsewhere, and install them in a fresh Debian
	GOARCH=arm64 go vet ./...
	go test -count=1 -v -timeout 60m ./packaging -run '^TestDist' -dist $(CURDIR)/dist

# A Kubernetes cluster on this machine: tools/cluster/README.md. Its programs are built
# once, in about seven minutes, and kept in a cache folder.
NODES ?= 1
cluster-up: ## start a Kubernetes cluster on this machine, with NODES nodes, as root
	@tools/cluster/cluster up $(NODES)

cluster-down: ## remove it, with all that is in it
	@tools/cluster/cluster down

# Tests that need a cluster have Kubernetes in their names. The cluster is removed
# afterwards, unless it was up before.
KUBERNETES_TESTS = $(sort $(dir $(shell grep -rl --include='*_test.go' RequireCluster ./cmd ./harness ./packaging)))
test-kubernetes: ## the tests that need a Kubernetes cluster, and those of its scripts, as root
	go test -C tools/cluster -count=1 -timeout 30m ./clustertest
	tools/cluster/cluster run 2 go test -count=1 -tags testhooks -timeout 40m -run Kubernetes $(KUBERNETES_TESTS)

# A few minutes on a machine with nothing else to do.
test-window: setup ## figures of how often clients meet: by idle rules, and with one of them slowed down
	go test -count=1 -v -timeout 90m ./cmd/snatlab -suite window

# One minute a kernel on a machine with nothing else to do.
test-matrix: setup ## every kernel of `make kernels`, in QEMU
	go test -count=1 -v -timeout 60m ./cmd/snatlab -suite matrix

# Docker's part needs root and an engine, and is skipped without.
bench: ## where the time of a run goes, what a client costs, and the ephemeral pattern beside tcp_crr
	go test -run '^$$' -bench '^Benchmark(Run|Clients|Ephemeral)$$' -benchtime 1x -timeout 60m ./cmd/snatlab

figures: ## print figures about how the code reads: names, lengths, words of comments
	@go run -C tools ./readability $(CURDIR)

# With two cores, 10,000 runs a case take about an hour.
SIMULATED_RUNS ?= 2000
simulate: ## judge SIMULATED_RUNS runs a case on simulated machines, and print how often the verdicts are right
	go test -count=1 -v -timeout 0 ./harness/verdict/verdicttest -run TestSimulate -simulate.runs $(SIMULATED_RUNS)

demo: build ## the race and its mitigation, in network namespaces: no root, no Docker
	./bin/snatlab run scenarios/quickstart.yaml

demo-docker: setup build ## the same on this machine's Docker engine, as root
	./bin/snatlab run scenarios/docker-masquerade.yaml

setup: ## install and start what is missing, as root: Docker, iptables; for tests QEMU and chromium
	@scripts/setup make $(MAKECMDGOALS)

# Packages of Debian, in a cache folder: nothing is installed, and no root is needed.
kernels: ## fetch kernels from 5.10 to 7.x, and print the values for matrix --kernel
	@scripts/kernels

# A folder of half a gigabyte for each engine, in a cache folder, as root.
engines: ## fetch Docker (20.10 to 28.5) and Podman (4.3, 5.4) of Debian, and print their folders
	@scripts/engines

# go fuzzes one target at a time. It may shrink an interesting input a hundred times
# instead of for a minute. A fuzzer that is stopped by its own clock may report that as
# a failure (go.dev/issue/75804); a real finding is in testdata and fails again.
fuzz: ## each fuzz target for FUZZTIME (60s)
	@grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=': ' read -r file _ target; do \
		echo "$${file%/*} $$target"; \
		go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $${file%/*} </dev/null || \
			go test -count=1 -run "^$$target$$" $${file%/*} </dev/null || exit 1; \
	done

# govulncheck exits with 3 if it found something. If its database cannot be reached,
# nothing is known; that is printed and is not a failure.
vuln: ## known vulnerabilities in the dependencies
	@code=0; go tool -modfile=tools/go.mod govulncheck ./... || code=$$?; \
	if [ $$code -eq 1 ]; then echo "vuln: nothing was checked (see above)" >&2; code=0; fi; exit $$code

clean: ## remove bin/ and dist/
	rm -rf bin dist

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST))
