package docker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"snatlab/harness/lab"
	"snatlab/harness/lab/labtest"
	"snatlab/harness/machine"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// The driver keeps what every driver keeps.
func TestConformance(t *testing.T) { checkConformance(t, realEngine(t)) }

// It does with addresses of IPv6, on an engine and a host that can have them.
func TestConformanceIPv6(t *testing.T) {
	reserveMachine(t)
	host, found := Preflight(t.Context(), probeBinary(t), result.IPv6, 0)
	t.Cleanup(func() { host.Close() })
	if err := machine.RequireMet(found); err != nil {
		t.Skip(err) // Debian 12's engine cannot; make test-engines has others
	}
	checkConformance(t, &rig{host, t})
}

// It does on Podman as well.
func TestConformanceOnPodman(t *testing.T) { checkConformance(t, podmanEngine(t)) }

// noParts returns the error with which an engine's clients are refused blocks of ports.
func noParts(r *rig) string {
	if r.isPodman() || r.usesNFTables() {
		return lab.CheckFound(context.Background(), nil, []scenario.Arm{{SNAT: scenario.SNATOptions{PortsPerClient: 1}}}, "").Error()
	}
	return ""
}

func checkConformance(t *testing.T, r *rig) {
	journals := t.TempDir()
	labs := 0
	for _, protocol := range []string{result.TCP, result.UDP} {
		t.Run(protocol, func(t *testing.T) {
			open := func(ctx context.Context, c Config) (lab.Lab, error) {
				labs++
				c.Run, c.Protocol, c.Trials, c.Control, c.Binary = fmt.Sprintf("test-%06d", labs), protocol, 40, true, probeBinary(t)
				var err error
				if c.Journal, err = undo.CreateJournal(journals, c.Run, undoers()); err != nil {
					return nil, err
				}
				return Open(ctx, r.Host, c)
			}
			labtest.CheckDriver(t, labtest.Driver{
				Protocol: protocol, Family: r.family,
				Open: func(ctx context.Context, clients int, say func(string)) (lab.Lab, error) {
					return open(ctx, Config{Clients: clients, Say: say})
				},
				OpenFiltered: func(ctx context.Context, accept scenario.PortRange) (lab.Lab, error) {
					return open(ctx, Config{Clients: 1, Accept: accept})
				},
				OpenService: func(ctx context.Context, backends int) (lab.Lab, error) {
					return open(ctx, Config{Clients: 1, Backends: backends})
				},
				NoParts: noParts(r),
				Kill: func(t *testing.T, l lab.Lab, client int) {
					d := l.(*dockerLab)
					if err := d.host.docker.ContainerKill(t.Context(), d.containerName(fmt.Sprintf("client-%d", client)), "KILL"); err != nil {
						t.Fatal(err)
					}
				},
				RemoveControl: func(t *testing.T, l lab.Lab) {
					d := l.(*dockerLab)
					if r.isPodman() {
						readLines(t, "nft", "flush", "chain", "ip", "snatlab-front-"+d.config.Run[len(d.config.Run)-6:], "postrouting")
						return
					}
					marked := strings.Replace(d.ControlRule(), " -j ", " -m comment --comment snatlab-"+d.config.Run+" -j ", 1)
					if err := d.Rule.IPTables().DeleteRule(iptables.NATTable, marked); err != nil {
						t.Fatal(err)
					}
				},
				Killed: "; exit code 137; it left no output",
				Traces: func(t *testing.T) (all []string) {
					state := r.state()
					for _, kind := range slices.Sorted(maps.Keys(state)) {
						all = append(append(all, kind), state[kind]...)
					}
					left, err := undo.FindJournals(journals)
					if err != nil {
						t.Fatal(err)
					}
					return append(all, left...)
				},
			})
		})
	}
}
