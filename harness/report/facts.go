package report

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"snatlab/harness/figure"
	"snatlab/harness/result"
)

// load says what was sent: "2 clients x 3,000 requests x 8 rounds, lockstep (barrier)".
func load(s result.Scenario) string {
	text := fmt.Sprintf("%s x %s x %s, %s", figure.Plural(s.Clients, "client", "clients"),
		figure.Plural(s.Requests, "request", "requests"), figure.Plural(s.Rounds, "round", "rounds"), s.Pattern)
	if s.Sync != "" && s.Sync != "none" {
		text += " (" + s.Sync + ")"
	}
	return text
}

func machine(e result.Env) string {
	return fmt.Sprintf("Linux %s, %s, %s", e.Kernel, e.Arch, figure.Plural(e.CPUs, "CPU", "CPUs"))
}

// lab says what the clients' packets passed through.
func lab(e result.Env) string {
	parts := []string{driver(e)}
	if e.Docker != nil {
		parts[0] += " " + *e.Docker
	}
	if e.Firewall != nil {
		parts = append(parts, "firewall "+*e.Firewall)
	}
	switch {
	case e.Iptables != nil:
		parts = append(parts, "iptables "+*e.Iptables)
	case e.NAT != "":
		parts = append(parts, e.NAT)
	}
	return strings.Join(append(parts, e.ClientNetwork+" to "+e.Server), ", ")
}

func started(r *result.Result) string {
	return r.Started.UTC().Format("2006-01-02 15:04 UTC")
}

// claim says what was expected of an arm.
func claim(e result.Expect) string {
	if e.Reduction != nil {
		return fmt.Sprintf("reduction >= %.6g %%", 100**e.Reduction)
	}
	return "race " + e.Race
}

// outcome says what came of an expectation.
func outcome(r *result.Result, e result.Expect) string {
	text := "held"
	switch {
	case e.Held == nil:
		return "could not be told"
	case !*e.Held:
		text = "not held"
	}
	if r.Incomplete != "" {
		text += " so far"
	}
	return text
}

func longestName(arms []result.Arm) int {
	longest := 0
	for _, a := range arms {
		longest = max(longest, utf8.RuneCountInString(a.Name))
	}
	return longest
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

// environment lists what it takes to compare this result with another one.
func environment(r *result.Result) [][]string {
	e := r.Environment
	entries := none
	if e.ConntrackMax != nil {
		entries = figure.Thousands(*e.ConntrackMax)
	}
	return [][]string{
		{"run", r.ID},
		{"started", started(r)},
		{"took", seconds(r.Seconds)},
		{"snatlab", r.Version},
		{"scenario", fmt.Sprintf("%s, hash %s, seed %d", r.Scenario.Name, r.Scenario.Hash, r.Scenario.Seed)},
		{"kernel", e.Kernel},
		{"machine", fmt.Sprintf("%s, %s", e.Arch, figure.Plural(e.CPUs, "CPU", "CPUs"))},
		{"driver", driver(e)},
		{"docker", known(e.Docker)},
		{"firewall", known(e.Firewall)},
		{"NAT", orNone(e.NAT)},
		{"iptables", known(e.Iptables)},
		{"nf_conntrack_max", entries},
		{"client network", e.ClientNetwork},
		{"server", e.Server},
		{"peak memory", fmt.Sprintf("controller %s, largest client %s", mebibytes(r.Memory.Controller), mebibytes(r.Memory.Client))},
	}
}

func driver(e result.Env) string {
	if e.Rootless {
		return e.Driver + " (rootless)"
	}
	return e.Driver
}

func known(s *string) string {
	if s == nil {
		return none
	}
	return orNone(*s)
}

func mebibytes(n uint64) string {
	if n == 0 {
		return none
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
