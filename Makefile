# Needs Go and make, and so do `make build` and `make demo`, as any user; `make
# setup` brings what the tests and the labs in Docker take (an engine, iptables).

VERSION  ?= $(shell git describe --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 60s

# The binary is copied into containers FROM scratch, where there is no libc. And
# without cgo nothing here needs a C compiler.
export CGO_ENABLED := 0
# In a clone that somebody else owns, git answers nothing, and then go refuses
# to build. By the environment, so that the builds inside of tests get it too.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)
# sudo drops /usr/local/go/bin, where go.dev's archive puts Go; a plain su drops
# the sbin folders, where Debian puts iptables.
export PATH := $(PATH):/usr/sbin:/sbin:/usr/local/go/bin

# The packages of which a build for tests (-tags testhooks) has other code: it can be
# made to die, or to panic, at a point. The binary that is shipped is no such
# build, and the tests of cmd/snatlab build and run both.
HOOKED = $(sort $(dir $(shell grep -rl --include='*.go' '^//go:build testhooks' ./cmd ./harness)))

.PHONY: build check lint test test-crash test-matrix demo demo-docker setup kernels fuzz vuln clean help

# The first target is the default. It has no prerequisites: go knows better than
# make what is out of date.
build: ## bin/snatlab, one static binary (the default)
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/snatlab ./cmd/snatlab

# About a minute of CPU time, and about five to compile all of it the first time.
# -short leaves out the tests that need privilege, an engine or other kernels. It
# holds for everybody, root too: nothing on this machine is touched.
check: lint ## vet, staticcheck, gofmt, and the tests that need nothing but Go; any user
	go test -short -count=1 -tags testhooks ./...

lint:
	go vet ./...
	go vet -tags testhooks $(HOOKED)
	go tool -modfile=tools/go.mod staticcheck ./...
	go tool -modfile=tools/go.mod staticcheck -tags testhooks $(HOOKED)
	@files=$$(gofmt -l .) && test -z "$$files" || { echo "gofmt -w these: $$files" >&2; exit 1; }

test: setup lint ## vet, staticcheck, gofmt, then every test, and a little of each fuzz target
	go test -count=1 -tags testhooks -timeout 40m ./...
	@$(MAKE) --no-print-directory fuzz FUZZTIME=1000x

# Half an hour.
test-crash: setup ## runs that die at every step, and the world that moves under them
	go test -count=1 -v -timeout 88m ./cmd/snatlab -suite crash

# A minute a kernel on a machine that does nothing else.
test-matrix: setup ## every kernel of `make kernels`, in QEMU
	go test -count=1 -v -timeout 60m ./cmd/snatlab -suite matrix

demo: build ## the race and its mitigation, in namespaces of its own: no root, no Docker
	./bin/snatlab run scenarios/quickstart.yaml

demo-docker: setup build ## the same on this machine's Docker engine, as root
	./bin/snatlab run scenarios/docker-masquerade.yaml

setup: ## install and start what is missing, as root: Docker, iptables
	@scripts/setup make $(MAKECMDGOALS)

# Packages of Debian, in a cache folder: nothing is installed, and no root needed.
kernels: ## fetch kernels from 5.10 to 7.x, and print what matrix --kernel takes
	@scripts/kernels

# go fuzzes one target at a time. What it finds interesting it may shrink a
# hundred times, and not for a minute. A fuzzer that ends by its own clock may
# call that a failure (go.dev/issue/75804): what it found stands in testdata, and
# fails again.
fuzz: ## each fuzz target for FUZZTIME (60s)
	@grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=': ' read -r file _ target; do \
		echo "$${file%/*} $$target"; \
		go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x $${file%/*} </dev/null || \
			go test -count=1 -run "^$$target$$" $${file%/*} </dev/null || exit 1; \
	done

# govulncheck exits 3 for what it found. Where its database cannot be reached,
# nothing is known, which is said, and is no reason to fail.
vuln: ## known vulnerabilities in what this is built of
	@code=0; go tool -modfile=tools/go.mod govulncheck ./... || code=$$?; \
	if [ $$code -eq 1 ]; then echo "vuln: nothing was checked (see above)" >&2; code=0; fi; exit $$code

clean: ## remove what build made
	rm -rf bin

help: ## these lines
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(firstword $(MAKEFILE_LIST))
