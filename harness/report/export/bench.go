package export

import (
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"

	"snatlab/harness/printable"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// A BenchSide holds the results of one column of benchstat.
type BenchSide struct {
	Name    string
	Results []*result.Result
}

// benchUnits are the units of a benchmark file, and the better direction of each.
var benchUnits = []struct{ unit, better string }{
	{"fail/req", "lower"},
	{"p50-sec", "lower"}, // connect(), of the requests that succeeded
	{"p99-sec", "lower"},
}

// WriteBench writes the trials of results in Go's benchmark format, a line each, for
// benchstat. The configuration lines hold the facts that all results have in common,
// as benchstat draws a table for each different value. One more line makes the
// columns: "kernel" if each side has a kernel of its own, else "side". WriteBench
// returns the name of that line; it is empty for a single side.
func WriteBench(w io.Writer, sides ...BenchSide) (column string, err error) {
	if len(sides) > 1 {
		column = chooseColumn(sides)
	}
	var all []*result.Result
	for _, s := range sides {
		all = append(all, s.Results...)
	}
	b := benchfmt.NewWriter(w)
	for _, u := range benchUnits {
		err := b.Write(&benchfmt.UnitMetadata{UnitMetadataKey: benchfmt.UnitMetadataKey{Unit: u.unit, Key: "better"}, OrigUnit: u.unit, Value: u.better})
		if err != nil {
			return "", err
		}
	}
	shared := sharedConfig(all)
	for _, s := range sides {
		for _, r := range s.Results {
			config := slices.Clone(shared)
			switch column {
			case "kernel":
				config = append(config, benchConfig(column, r.Environment.Kernel))
			case "side":
				config = append(config, benchConfig(column, s.Name))
			}
			if err := benchTrials(b, r, config); err != nil {
				return "", err
			}
		}
	}
	return column, nil
}

func chooseColumn(sides []BenchSide) string {
	var kernels []string
	for _, s := range sides {
		of := map[string]bool{}
		for _, r := range s.Results {
			of[r.Environment.Kernel] = true
			if len(of) > 1 || slices.Contains(kernels, r.Environment.Kernel) {
				return "side"
			}
		}
		for kernel := range of {
			kernels = append(kernels, kernel)
		}
	}
	return "kernel"
}

// sharedConfig returns the configuration lines that are the same for all results.
func sharedConfig(results []*result.Result) (config []benchfmt.Config) {
	for _, line := range []struct {
		key string
		of  func(*result.Result) string
	}{
		{"goos", func(*result.Result) string { return "linux" }},
		{"goarch", func(r *result.Result) string { return r.Environment.Arch }},
		{"kernel", func(r *result.Result) string { return r.Environment.Kernel }},
		{"cpu", func(r *result.Result) string { return stringOrEmpty(r.Environment.CPUModel) }},
		{"driver", func(r *result.Result) string { return wording.DriverName(r.Environment.Driver, r.Environment.Rootless) }},
		{"docker", func(r *result.Result) string { return stringOrEmpty(r.Environment.Docker) }},
		{"nat", func(r *result.Result) string { return r.Environment.NAT }},
		{"iptables", func(r *result.Result) string { return stringOrEmpty(r.Environment.Iptables) }},
		{"virtualisation", func(r *result.Result) string { return stringOrEmpty(r.Environment.Virtualisation) }},
		{"guest", func(r *result.Result) string { return r.Environment.Guest }},
		{"scenario-hash", func(r *result.Result) string { return r.Scenario.Hash }},
	} {
		value := line.of(results[0])
		differs := func(r *result.Result) bool { return line.of(r) != value }
		if value != "" && !slices.ContainsFunc(results, differs) {
			config = append(config, benchConfig(line.key, value))
		}
	}
	return config
}

func benchConfig(key, value string) benchfmt.Config {
	return benchfmt.Config{Key: key, Value: []byte(strings.TrimSpace(printable.Line(value))), File: true}
}

func stringOrEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// benchTrials writes the trials of a result, by round.
func benchTrials(b *benchfmt.Writer, r *result.Result, config []benchfmt.Config) error {
	for _, t := range result.TrialsByRound(r.Arms) {
		if t.Requests <= 0 {
			continue
		}
		line := &benchfmt.Result{Config: config, Name: benchName(r, t.Arm), Iters: t.Requests,
			Values: []benchfmt.Value{{Value: t.FailedShare(), Unit: "fail/req"}}}
		if t.Failed < t.Requests { // else there is no latency
			line.Values = append(line.Values,
				benchfmt.Value{Value: float64(t.Latency.P50) / 1e6, Unit: "p50-sec"},
				benchfmt.Value{Value: float64(t.Latency.P99) / 1e6, Unit: "p99-sec"})
		}
		if err := b.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// benchName returns a name that ends in the number of CPUs, as Go's own benchmarks do.
// Without that number the end of an arm's name could be taken for one.
func benchName(r *result.Result, arm string) benchfmt.Name {
	name := benchWord(r.Scenario.Name)
	if name != "" {
		name = strings.ToUpper(name[:1]) + name[1:] // "Benchmark" is not followed by a lower-case letter
	}
	return benchfmt.Name(name + "/arm=" + benchWord(arm) + "-" + strconv.Itoa(max(1, r.Environment.CPUs)))
}

// benchWord replaces the characters that separate words or parts of a name.
func benchWord(s string) string {
	return strings.NewReplacer(" ", "_", "/", "_").Replace(printable.Line(s))
}
