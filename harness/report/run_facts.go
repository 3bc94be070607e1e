package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"snatlab/harness/format"
	"snatlab/harness/report/layout"
	"snatlab/harness/result"
	"snatlab/harness/wording"
)

// loadText describes the load: "2 clients x 300 to 600 requests x 8 rounds, lockstep
// (barrier), from ports 32768-45119". Without arms it is that of any run of the scenario.
func loadText(s result.ScenarioSummary, arms []result.Arm) string {
	requests, rounds := format.Plural(s.Requests, "request", "requests"), format.Plural(s.Rounds, "round", "rounds")
	if s.Until != nil {
		last, most := 0, s.Requests
		for _, t := range result.TrialsByRound(arms) {
			last, most = t.Round, max(most, t.Requests/max(1, s.Clients))
		}
		if most > s.Requests {
			requests = fmt.Sprintf("%s to %s requests", format.Thousands(s.Requests), format.Thousands(most))
		}
		if rounds += " or more"; last > 0 {
			rounds = format.Plural(last, "round", "rounds")
		}
	}
	text := fmt.Sprintf("%s x %s x %s, %s", format.Plural(s.Clients, "client", "clients"), requests, rounds, s.Pattern)
	switch {
	case s.Pattern == result.DNS && s.Threads > 1:
		text += fmt.Sprintf(" from %d threads of a client", s.Threads)
	case s.Pattern != result.DNS && s.Protocol == result.UDP:
		text += " over UDP"
	}
	if s.Sync != "" && s.Sync != result.SyncNone {
		text += " (" + s.Sync + ")"
	}
	if p := s.ClientPorts; p != nil {
		text += fmt.Sprintf(", from ports %d-%d", p.First, p.Last)
	}
	return text
}

func machineText(e result.Env) string {
	return fmt.Sprintf("Linux %s, %s, %s", e.Kernel, e.Arch, format.Plural(e.CPUs, "CPU", "CPUs"))
}

// fullMachine also names the processor and the hypervisor, if they fit into room
// columns.
func fullMachine(e result.Env, room int) string {
	text := machineText(e)
	for _, more := range []*string{e.CPUModel, e.Virtualisation} {
		if more == nil || *more == "" || *more == result.BareMetal {
			continue
		}
		if longer := text + ", " + *more; layout.Width(longer) <= room {
			text = longer
		}
	}
	return text
}

// labText describes the path of the clients' packets.
func labText(e result.Env) string {
	parts := []string{wording.DriverName(e.Driver, e.Rootless)}
	if e.Engine != "" {
		parts[0] += " (" + e.Engine + ")"
	}
	if e.Docker != nil {
		parts[0] += " " + *e.Docker
	}
	if k := e.Kubernetes; k != nil {
		parts[0] += " " + k.Version + ", node " + k.Node
	}
	if e.Firewall != nil {
		parts = append(parts, "firewall "+*e.Firewall)
	}
	switch {
	case e.Iptables != nil && e.Family() == result.IPv6:
		parts = append(parts, "ip6tables "+*e.Iptables)
	case e.Iptables != nil:
		parts = append(parts, "iptables "+*e.Iptables)
	case e.NAT != "":
		parts = append(parts, e.NAT)
	}
	to := e.ClientNetwork + " to " + e.Server
	if e.Service != nil {
		to += ", " + wording.DescribeService(e.Service)
	}
	return strings.Join(append(parts, to), ", ")
}

// sharedText explains the effect of a run on a network with other containers; empty
// if the clients had a network of their own.
func sharedText(e result.Env) string {
	if e.SharedNetwork == "" {
		return ""
	}
	return fmt.Sprintf("network %s: its rule was rewritten; connections of other containers also passed it", e.SharedNetwork)
}

// windowText describes how the window of the race differs from the kernel's own; empty
// if it does not.
func windowText(e result.Env) string {
	if e.Widened == 0 {
		return ""
	}
	return fmt.Sprintf("widened by %s between NAT and insertion", format.Plural(e.Widened, "idle rule", "idle rules"))
}

func startTime(r *result.Result) string {
	return r.Started.UTC().Format("2006-01-02 15:04 UTC")
}

func longestName(arms []result.Arm) int {
	longest := 0
	for _, a := range arms {
		longest = max(longest, layout.Width(a.Name))
	}
	return longest
}

// environmentRows returns the facts that are needed to compare this result with
// another.
func environmentRows(r *result.Result) [][]string {
	e := r.Environment
	rows := [][]string{
		{"run", wording.RunName(r)},
		{"started", startTime(r)},
		{"took", format.Seconds(r.Seconds)},
		{"snatlab", r.Version},
		{"scenario", fmt.Sprintf("%s, hash %s, seed %d", r.Scenario.Name, r.Scenario.Hash, r.Scenario.Seed)},
		{"kernel", e.Kernel},
		{"kernel built", format.OrNone(e.KernelVersion)},
		{"kernel configuration", stringOrNone(e.KernelConfig)},
		{"machine", fmt.Sprintf("%s, %s for the clients", e.Arch, format.Plural(e.CPUs, "CPU", "CPUs"))},
		{"CPUs online", countOrNone(e.CPUsOnline)},
		{"CPU model", stringOrNone(e.CPUModel)},
		{"CPU governor", stringOrNone(e.Governor)},
		{"virtualisation", stringOrNone(e.Virtualisation)},
		{"memory", formatGiB(e.MemoryTotal)},
		{"load average", loadAverage(e.Load)},
		{"driver", wording.DriverName(e.Driver, e.Rootless)},
		{"docker", stringOrNone(e.Docker)},
		{"firewall", stringOrNone(e.Firewall)},
		{"NAT", format.OrNone(e.NAT)},
		{"iptables", stringOrNone(e.Iptables)},
		{"nf_conntrack_max", formatTableSize(e.ConntrackMax)},
		{"idle postrouting rules", format.Thousands(e.Widened)},
		{"client network", e.ClientNetwork},
		{"server", e.Server},
		{"peak memory", fmt.Sprintf("controller %s, largest client %s", formatMiB(r.Memory.Controller), formatMiB(r.Memory.Client))},
	}
	if e.Service != nil {
		rows = append(rows, []string{"service", wording.DescribeService(e.Service)})
	}
	return append(rows, clusterRows(e.Kubernetes)...)
}

// clusterRows returns the facts of a cluster; none without one.
func clusterRows(k *result.Kubernetes) [][]string {
	if k == nil {
		return nil
	}
	rules := strings.Join(k.Rules, "; ")
	if k.DrawsPorts {
		rules += " (draws ports already)"
	}
	return [][]string{
		{"kubernetes", k.Version + ", " + k.Runtime + ", " + k.OS},
		{"node", k.Node},
		{"node of the server", format.OrNone(k.ServerNode)},
		{"rules of the node", format.OrNone(rules)},
		{"no shared memory", format.OrNone(k.NoBarrier)},
	}
}

// sysctlRows returns the sysctls of the router's namespace, by name.
func sysctlRows(e result.Env) [][]string {
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(e.Sysctls)) {
		rows = append(rows, []string{name, format.OrNone(e.Sysctls[name])})
	}
	return rows
}

func countOrNone(n int) string {
	if n == 0 {
		return format.None
	}
	return format.Thousands(n)
}

func formatTableSize(n *uint64) string {
	switch {
	case n == nil:
		return format.None
	case *n == 0:
		return "0 (no limit)"
	}
	return format.Thousands(*n)
}

func formatGiB(n *uint64) string {
	if n == nil {
		return format.None
	}
	return fmt.Sprintf("%.1f GiB", float64(*n)/(1<<30))
}

func loadAverage(l *[3]float64) string {
	if l == nil {
		return format.None
	}
	return fmt.Sprintf("%.2f, %.2f, %.2f over 1, 5 and 15 minutes, before the run", l[0], l[1], l[2])
}

func stringOrNone(s *string) string {
	if s == nil {
		return format.None
	}
	return format.OrNone(*s)
}

func formatMiB(n uint64) string {
	if n == 0 {
		return format.None
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
