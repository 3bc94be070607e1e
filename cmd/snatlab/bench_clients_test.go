package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"snatlab/harness/lab"
	"snatlab/harness/machine"
	"snatlab/harness/result"
	"snatlab/harness/result/resultfile"
	"snatlab/harness/scenario"
)

// manyClients is a run with a number of clients.
const manyClients = `
name: many
driver: %s
clients: %d
load: {requests: 100}
rounds: 2
until: {rounds_max: 2}
arms: [{name: masquerade}, {name: random-fully, masquerade: {random_fully: true}}]
`

// BenchmarkClients prints what a client costs, for 2 to 64 clients: milliseconds of
// setting up, of a trial beyond its load, and of tearing down, each divided by the number
// of clients; and the peak memory of the largest client and of the controller. With
// -short there are at most 8 clients.
func BenchmarkClients(b *testing.B) {
	for _, driver := range driverNames {
		for _, clients := range []int{2, 8, 16, 32, 64} {
			if testing.Short() && clients > 8 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", driver, clients), func(b *testing.B) {
				text := fmt.Appendf(nil, manyClients, driver, clients)
				s, err := scenario.Parse("many.yaml", text)
				if err != nil {
					b.Fatal(err)
				}
				var parts timedParts
				trials := 0
				for b.Loop() {
					r := parts.timeRun(b, s)
					trials += countTrials(r)
				}
				perClient := func(part string, times int, among ...int) {
					spent := 0.0
					for _, p := range among {
						spent += parts[p].Seconds()
					}
					b.ReportMetric(1000*spent/float64(times*clients), part+"-ms/client")
				}
				perClient("set-up", b.N, setUpTime)
				perClient("trial", trials, rulesTime, waitTime, forgetTime, restTime)
				perClient("tear-down", b.N, tearDownTime)
				memory := measureMemory(b, text)
				b.ReportMetric(float64(memory.Client)/(1<<20), "client-MiB")
				b.ReportMetric(float64(memory.Controller)/(1<<20), "controller-MiB")
			})
		}
	}
}

// measureMemory makes a run with the program as it is shipped. This process is a poor
// controller: it has the memory of all benchmarks.
func measureMemory(b *testing.B, text []byte) result.Memory {
	b.Helper()
	dir := b.TempDir()
	file, out := filepath.Join(dir, "many.yaml"), filepath.Join(dir, "out")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		b.Fatal(err)
	}
	said, err := exec.Command(binary, "run", file, "--force", "--out", out).CombinedOutput()
	if exited := (*exec.ExitError)(nil); errors.As(err, &exited) && exited.ExitCode() == exitInconclusive {
		err = nil
	}
	if err != nil {
		b.Fatalf("%v\n%s", err, said)
	}
	r, err := resultfile.ReadResult(out)
	if err != nil {
		b.Fatal(err)
	}
	return r.Memory
}

// ephemeralRun is a run of the engine whose connections per second are compared.
const ephemeralRun = `
name: ephemeral
driver: netns
clients: 1
load: {pattern: ephemeral, requests: 10000, concurrency: 64}
rounds: 5
arms: [{name: masquerade}]
`

// BenchmarkEphemeral prints the connections per second of the ephemeral pattern, and of
// tcp_crr (github.com/google/neper) if it is on PATH, through the same masquerade rule:
// same namespaces, 64 connections at a time, in turns. A connection of tcp_crr also
// carries one byte each way; both end with a reset.
func BenchmarkEphemeral(b *testing.B) {
	crr, err := exec.LookPath("tcp_crr")
	if err != nil {
		b.Logf("tcp_crr is not on PATH, so there is no comparison (see docs/contributing.md)")
	}
	s, err := scenario.Parse("ephemeral.yaml", []byte(ephemeralRun))
	if err != nil {
		b.Fatal(err)
	}
	var ours, theirs []float64
	var parts timedParts
	for b.Loop() {
		r := parts.timeRunIn(b, s, func(ctx context.Context, b *testing.B, s *scenario.Scenario) (lab.Lab, error) {
			l, err := openNetns(ctx, b, s)
			if err != nil || crr == "" {
				return l, err
			}
			return &crrLab{Lab: l, b: b, crr: crr, rates: &theirs}, nil
		})
		for _, t := range r.Arms[0].Trials {
			ours = append(ours, float64(t.Requests)/t.Seconds)
		}
	}
	b.ReportMetric(median(ours), "connections/s")
	if len(theirs) > 0 {
		b.ReportMetric(median(theirs), "tcp_crr-connections/s")
		b.ReportMetric(median(ours)/median(theirs), "ratio")
	}
}

// crrLab runs tcp_crr in the namespaces of the lab before each trial.
type crrLab struct {
	lab.Lab
	b     *testing.B
	crr   string
	rates *[]float64
}

// Apply also runs tcp_crr, except for the path check, whose arm has no name.
func (l *crrLab) Apply(ctx context.Context, arm scenario.Arm) (lab.ArmRule, error) {
	if arm.Name != "" {
		rate, err := l.runCRR(ctx)
		if err != nil {
			return nil, err
		}
		*l.rates = append(*l.rates, rate)
	}
	return l.Lab.Apply(ctx, arm)
}

// crrRate matches the transactions per second in the output of tcp_crr.
var crrRate = regexp.MustCompile(`(?m)^throughput=([\d.]+)$`)

// runCRR runs tcp_crr for a second, from the namespace of the client to that of the
// server, and returns its transactions per second.
func (l *crrLab) runCRR(ctx context.Context) (rate float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	server := exec.CommandContext(ctx, l.crr, "--nolog")
	if err := startBeside(server, "server"); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Wait() }()
	defer func() { cancel(); <-ended }() // it ends with its client, or is killed
	// The client tries again until the server listens.
	client := exec.CommandContext(ctx, l.crr, "--nolog", "--client", "--host", l.Environment().Server, "--num-flows", "64", "--test-length", "1")
	var said bytes.Buffer
	client.Stdout, client.Stderr = &said, &said
	if err := startBeside(client, "client"); err != nil {
		return 0, err
	}
	if err := client.Wait(); err != nil {
		return 0, fmt.Errorf("tcp_crr: %w\n%s", err, said.Bytes())
	}
	found := crrRate.FindSubmatch(said.Bytes())
	if found == nil {
		return 0, fmt.Errorf("tcp_crr printed no throughput:\n%s", said.Bytes())
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// startBeside starts a command in the network namespace of a probe of this process.
func startBeside(c *exec.Cmd, role string) error {
	pids, err := listProbes(os.Getpid(), role)
	if err != nil {
		return err
	}
	if len(pids) == 0 {
		return fmt.Errorf("no probe has the role %s", role)
	}
	space := machine.OpenNamespace(pids[0])
	defer space.Close()
	return space.Do(c.Start)
}
