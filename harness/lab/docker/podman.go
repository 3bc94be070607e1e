package docker

import (
	"context"
	"fmt"

	"snatlab/harness/lab/docker/firewall"
	"snatlab/harness/lab/docker/podman"
	"snatlab/harness/machine"
	"snatlab/harness/nat/effect"
)

// Podman is driven through its Docker API, except where that one falls short: package
// podman. What differs in a lab: its rule exists only while a container is on the network,
// so it is looked for by its effect when the probes have started; and it is never rewritten:
// arms have rules of their own before it (package effect).

// recognise finds out which engine answers.
func (h *Host) recognise(ctx context.Context) error {
	v, err := h.docker.ServerVersion(ctx)
	if err != nil {
		return fmt.Errorf("ask the engine for its version: %w", err)
	}
	if h.podman = podman.Version(v); h.podman == "" {
		return nil
	}
	h.backend, err = podman.Backend(ctx, h.docker)
	return err
}

func (h *Host) isPodman() bool { return h.podman != "" }

// engineName returns the name of the engine in a sentence.
func (h *Host) engineName() string {
	if h.isPodman() {
		return "Podman"
	}
	return "Docker"
}

// command returns the name of the engine's command line.
func (h *Host) command() string {
	if h.isPodman() {
		return "podman"
	}
	return "docker"
}

// checkListing checks whether the rules that translate can be listed. Podman may have none
// yet.
func checkListing(ctx context.Context) machine.Precondition {
	p := machine.Precondition{Name: firewall.NFTables, Found: "the rules that translate can be listed"}
	if _, _, err := effect.List(ctx); err != nil {
		p.State, p.Found, p.Remedy = machine.Unmet, err.Error(), "run as root"
	}
	return p
}

// findPodmanNetwork finds the shared network. Its rule is found later, by its effect.
func (l *dockerLab) findPodmanNetwork(ctx context.Context) error {
	n, err := podman.Inspect(ctx, l.host.docker, l.config.Network)
	if err != nil {
		return fmt.Errorf("find network %s: %w (see `podman network ls`)", l.config.Network, err)
	}
	l.clientNet = labNetwork{name: n.Name, bridge: n.Bridge}
	if l.clientNet.subnet, err = n.Masquerades(); err != nil {
		return fmt.Errorf("network %s: %w; a bridge network that masquerades is required", n.Name, err)
	}
	return l.findRule(ctx)
}
