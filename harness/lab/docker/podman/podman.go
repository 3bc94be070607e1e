// Package podman asks a Podman engine for what its Docker API lacks: a network whose
// interface has a given name and from which packets for other networks may leave, and the
// interface of an existing one. It uses libpod's API, on the same socket.
//
// Everything else of a lab on Podman goes through the Docker API, and is in package docker.
package podman

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/client"
)

// DefaultSocket is the socket of Podman's system service by default.
const DefaultSocket = "/run/podman/podman.sock"

// IsRunning reports whether there is a socket of Podman's system service.
func IsRunning() bool {
	info, err := os.Stat(DefaultSocket)
	return err == nil && info.Mode().Type() == fs.ModeSocket
}

// Netavark is the network backend whose rules are supported.
const Netavark = "netavark"

// Version returns the version of Podman if the engine is one, and otherwise an empty text.
func Version(v types.Version) string {
	for _, c := range v.Components {
		if c.Name == "Podman Engine" {
			return c.Version
		}
	}
	return ""
}

// Backend returns the name of the engine's network backend: netavark, cni.
func Backend(ctx context.Context, engine *client.Client) (string, error) {
	var info struct {
		Host struct {
			NetworkBackend string `json:"networkBackend"`
		} `json:"host"`
	}
	err := call(ctx, engine, http.MethodGet, "info", nil, &info)
	if err != nil {
		return "", fmt.Errorf("ask Podman for its network backend: %w", err)
	}
	return info.Host.NetworkBackend, nil
}

// Network is a bridge network.
type Network struct {
	Name     string            `json:"name"`
	Driver   string            `json:"driver"`
	Bridge   string            `json:"network_interface"`
	Subnets  []Subnet          `json:"subnets"`
	Internal bool              `json:"internal"`
	IPv6     bool              `json:"ipv6_enabled"`
	DNS      bool              `json:"dns_enabled"`
	Labels   map[string]string `json:"labels,omitempty"`
	Options  map[string]string `json:"options,omitempty"`
}

// Subnet is a subnet of a network.
type Subnet struct {
	Prefix netip.Prefix `json:"subnet"`
}

// Create makes a network without a name server. Its containers can reach those of other
// networks: the Docker API isolates each network from the others, and ignores an option
// that says otherwise.
func Create(ctx context.Context, engine *client.Client, name, bridge string, subnet netip.Prefix, labels map[string]string) error {
	n := Network{
		Name: name, Driver: "bridge", Bridge: bridge, Subnets: []Subnet{{subnet}}, Labels: labels,
		Options: map[string]string{"isolate": "false"},
	}
	return call(ctx, engine, http.MethodPost, "networks/create", n, nil)
}

// Inspect returns a network.
func Inspect(ctx context.Context, engine *client.Client, name string) (n Network, err error) {
	return n, call(ctx, engine, http.MethodGet, "networks/"+url.PathEscape(name)+"/json", nil, &n)
}

// Masquerades returns the subnet of IPv4 of a network, or why its connections are not
// translated.
func (n Network) Masquerades() (netip.Prefix, error) {
	switch {
	case n.Driver != "bridge":
		return netip.Prefix{}, fmt.Errorf("its driver is %s", n.Driver)
	case n.Internal:
		return netip.Prefix{}, errors.New("it is internal, so nothing leaves it")
	case n.Options["mode"] == "unmanaged":
		return netip.Prefix{}, errors.New("no rules are written for it (its mode is unmanaged)")
	}
	for _, s := range n.Subnets {
		if s.Prefix.Addr().Is4() {
			return s.Prefix.Masked(), nil
		}
	}
	return netip.Prefix{}, errors.New("it has no IPv4 subnet")
}

// call sends a request of libpod's API, and decodes the answer.
func call(ctx context.Context, engine *client.Client, method, path string, body, answer any) error {
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return err
		}
	}
	// Every Podman since 4.0 serves version 4.0.0 of the API.
	r, err := http.NewRequestWithContext(ctx, method, "http://podman/v4.0.0/libpod/"+path, &sent)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	got, err := engine.HTTPClient().Do(r)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if got.StatusCode >= http.StatusBadRequest {
		return readError(got)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(got.Body).Decode(answer)
}

// readError returns the error that an answer holds.
func readError(r *http.Response) error {
	var e struct {
		Message string `json:"message"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxError)).Decode(&e); err != nil || e.Message == "" {
		return fmt.Errorf("the answer of Podman is %s", r.Status)
	}
	return errors.New(e.Message)
}

// maxError bounds how much is read of an error, in bytes.
const maxError = 64 << 10
