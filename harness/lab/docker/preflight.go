package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/docker/docker/api/types/system"
	"github.com/docker/docker/client"
	"golang.org/x/sys/unix"

	"snatlab/harness/lab"
	"snatlab/harness/lab/docker/firewall"
	"snatlab/harness/lab/docker/podman"
	"snatlab/harness/machine"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/result"
	"snatlab/harness/scenario/network"
	"snatlab/harness/undo"
	"snatlab/images"
)

// Host is a machine with a Docker engine, after Preflight.
type Host struct {
	docker *client.Client
	info   system.Info
	family string              // of the lab's addresses: result.IPv4 or result.IPv6; empty: IPv4
	tables []*iptables.Program // that hold the engine's rules for it
	podman string              // the version of Podman; empty: the engine is Docker
	// backend is Podman's network backend, which writes its rules.
	backend string
}

// Close closes the connection to the engine.
func (h *Host) Close() error {
	if h.docker == nil {
		return nil
	}
	return h.docker.Close()
}

// answerTime bounds how long the engine may take to answer at all.
const answerTime = 4 * time.Second

// connectEngine opens a client of the engine at host. If host is empty, DOCKER_HOST
// and the variables around it choose the engine.
func connectEngine(host string) (*client.Client, error) {
	options := []client.Opt{client.FromEnv, client.WithAPIVersionNegotiation()}
	if host != "" {
		options = append(options, client.WithHost(host))
	}
	docker, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, fmt.Errorf("connect to Docker: %w", err)
	}
	return docker, nil
}

// Preflight checks everything that a run on Docker needs, and changes nothing.
// Binary is the file for the probe image, empty for this program. Entries is the
// room in the conntrack table that the run needs, 0 if unknown. Family is that of the lab's
// addresses. The host can be used if machine.RequireMet returns nil.
func Preflight(ctx context.Context, binary, family string, entries int) (*Host, []machine.Precondition) {
	h := &Host{family: family}
	engine := h.checkEngine(ctx)
	all := []machine.Precondition{machine.CheckPrivilege(unix.CAP_NET_ADMIN), machine.CheckJournal(undo.Dir), machine.CheckKernel(), checkBinary(cmp.Or(binary, lab.ThisBinary)), engine}
	if engine.State == machine.Met {
		all = append(all, h.checkBackend(), h.checkRules(ctx), h.checkSubnets(ctx))
		if family == result.IPv6 {
			all = append(all, h.checkIPv6Networks())
		}
	} else {
		for _, name := range []string{firewallBackend, firewall.IPTables, labSubnets} {
			all = append(all, machine.Precondition{Name: name, State: machine.Unknown, Found: "no engine to look at"})
		}
	}
	return h, append(all, lab.CheckConntrack(entries, true), machine.CheckCPUs(), machine.CheckOpenFiles("the daemon's limit (LimitNOFILE)"))
}

// The names of preconditions.
const (
	binaryKind      = "probe binary"
	dockerEngine    = "Docker engine"
	firewallBackend = "firewall backend"
	labSubnets      = "lab subnets"
	ipv6            = "IPv6"
)

// checkBinary checks whether a program can run in an image without other files.
func checkBinary(path string) machine.Precondition {
	p := machine.Precondition{Name: binaryKind, Found: "static"}
	binary, err := os.Open(path)
	if err == nil {
		defer binary.Close()
		_, err = images.Arch(binary)
	}
	if err != nil {
		p.State, p.Found, p.Remedy = machine.Unmet, err.Error(), "build it with CGO_ENABLED=0, or `make build`"
	}
	return p
}

// checkEngine connects to the engine. The engine's NAT must be this host's: the rules
// of an engine on another machine, or in a network namespace of its own, cannot be
// read from here.
func (h *Host) checkEngine(ctx context.Context) machine.Precondition {
	p := machine.Precondition{Name: dockerEngine, State: machine.Unmet}
	docker, err := connectEngine("")
	if err != nil {
		p.Found, p.Remedy = err.Error(), "see DOCKER_HOST"
		return p
	}
	h.docker = docker
	address := docker.DaemonHost()
	if !strings.HasPrefix(address, "unix://") {
		p.Found, p.Remedy = "DOCKER_HOST is "+address+": an engine on another machine", "run snatlab on that machine: the rules and the counters are there"
		return p
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if h.info, err = docker.Info(ctx); err != nil {
		p.Found, p.Remedy = fmt.Sprintf("connect to Docker at %s: %v", address, rootCause(err)), remedyForEngine(err)
		return p
	}
	if slices.ContainsFunc(h.info.SecurityOptions, func(o string) bool { return strings.HasPrefix(o, "name=rootless") }) {
		p.Found, p.Remedy = "the engine at "+address+" is rootless: its NAT is in a network namespace of its own", "use the system's engine"
		return p
	}
	if err := h.recognise(ctx); err != nil {
		p.Found, p.Remedy = err.Error(), remedyForEngine(err)
		return p
	}
	p.State, p.Found = machine.Met, h.info.ServerVersion+" at "+address
	if h.isPodman() {
		p.Found = h.engineName() + " " + p.Found
	}
	return p
}

// rootCause returns the system's error without the client's text around it, which
// repeats the address and guesses.
func rootCause(err error) error {
	var errno unix.Errno
	switch {
	case errors.As(err, &errno):
		return errno
	case client.IsErrConnectionFailed(err):
		return errors.New("no engine answers")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v", answerTime)
	}
	return err
}

func remedyForEngine(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist) && podman.IsRunning():
		return "for Podman: DOCKER_HOST=unix://" + podman.DefaultSocket
	case errors.Is(err, unix.EACCES):
		return "run as root, or join the docker group"
	case client.IsErrConnectionFailed(err), errors.Is(err, context.DeadlineExceeded):
		return "is the daemon running? is DOCKER_HOST right?"
	}
	return "it answers with an error: see its log (journalctl -u docker)"
}

// backendName returns the name of the backend that writes Docker's firewall rules.
// Engines before 29 write iptables rules and do not report a backend.
func (h *Host) backendName() string {
	if h.isPodman() {
		return h.backend
	}
	if b := h.info.FirewallBackend; b != nil {
		return b.Driver
	}
	return "iptables"
}

func (h *Host) checkBackend() machine.Precondition {
	p := machine.Precondition{Name: firewallBackend, Found: h.backendName()}
	switch {
	case h.isPodman() && h.backend != podman.Netavark:
		p.State = machine.Unmet
		p.Remedy = `of Podman's network backends only netavark is supported; set network_backend = "netavark" in containers.conf`
	case !h.isPodman() && !strings.HasPrefix(h.backendName(), "iptables") && !h.usesNFTables():
		p.State = machine.Unmet
		p.Remedy = `only the rules of the backends iptables and nftables are known; set "firewall-backend": "iptables" for the daemon`
	}
	return p
}

func (h *Host) checkSubnets(ctx context.Context) machine.Precondition {
	p := machine.Precondition{Name: labSubnets}
	free, err := h.freeSubnets(ctx, 2)
	if err != nil {
		p.State, p.Found, p.Remedy = machine.Unmet, err.Error(), "see `ip route` and `docker network ls`: two must be free for the time of a run"
		return p
	}
	p.Found = fmt.Sprintf("%v and %v are free", free[0][len(free[0])-1], free[1][len(free[1])-1])
	return p
}

// checkRules finds the rules that the engine has for the family of the lab.
func (h *Host) checkRules(ctx context.Context) (p machine.Precondition) {
	switch {
	case h.isPodman():
		return checkListing(ctx)
	case h.usesNFTables():
		return firewall.CheckBridgesTable(ctx)
	}
	h.tables, p = firewall.CheckIPTables(ctx, iptables.FamilyOf(network.Labs(h.family).Addr()), h.info.ServerVersion)
	return p
}
