// Package result holds the types of result.json, the record of one run.
//
// Every report is drawn from a Result alone, and other programs read the
// file: fields are added, never renamed, and [Schema] changes when the meaning
// of a field does. The package derives small values, does no I/O and imports nothing
// of ours.
//
// Rates are shares between 0 and 1. A pointer that is nil (null in JSON) means
// that the figure could not be found out, which is not the same as 0.
package result

import (
	"time"
)

// Schema names the meaning of the fields of this package.
const Schema = "snatlab.result/v1"

// Result is the record of one run. A run that was interrupted or that broke
// off has the trials it finished, and says so in Incomplete.
type Result struct {
	Schema      string          `json:"schema"`
	ID          string          `json:"id"` // unique: start time and a random part, fit for a file name
	Version     string          `json:"version"`
	Scenario    ScenarioSummary `json:"scenario"`
	Started     time.Time       `json:"started"`
	Seconds     float64         `json:"seconds"` // of the whole run, building and removing the lab included
	Verdict     Verdict         `json:"verdict"`
	Summary     string          `json:"summary"`              // the verdict in one sentence
	Incomplete  string          `json:"incomplete,omitempty"` // why the run ended early
	Environment Env             `json:"environment"`
	Arms        []Arm           `json:"arms"`        // in the scenario's order; the first is the baseline
	Comparisons []Comparison    `json:"comparisons"` // every other arm against the baseline
	Expected    []Expectation   `json:"expected"`
	Warnings    []string        `json:"warnings"` // printed as footnotes

	// WarningValues are the warnings as values, in the order of Warnings. A result of
	// a version before they were recorded has none in its file; when it is read, it is
	// given values that have no code.
	WarningValues []Warning `json:"warning_values,omitempty"`

	Memory Memory `json:"memory"`
}

// ScenarioSummary says what was run.
type ScenarioSummary struct {
	Name     string `json:"name"`
	Hash     string `json:"hash"` // of the scenario with its defaults, without the driver; an attempt of `snatlab matrix` may have sent more than it asks for
	Clients  int    `json:"clients"`
	Pattern  string `json:"pattern"`  // lockstep or ephemeral
	Sync     string `json:"sync"`     // what kept the clients in step: barrier, clock or none
	Requests int    `json:"requests"` // per client and trial
	Rounds   int    `json:"rounds"`
	Seed     uint64 `json:"seed"`

	// ClientPorts are the source ports of the slots of a lockstep trial, the same
	// in every trial. Slots that are made up take those that follow. Nil for other
	// patterns, and in results of versions before it was recorded, which used 2048
	// and the ports that follow.
	ClientPorts *Ports `json:"client_ports,omitempty"`
}

// Ports is a range of ports, both ends included.
type Ports struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// Verdict is what a run says as a whole.
type Verdict string

// The verdicts of a run.
const (
	Pass         Verdict = "pass"         // every expectation held; of a run without any: something was found out
	Fail         Verdict = "fail"         // an expectation did not hold
	Inconclusive Verdict = "inconclusive" // the race did not occur, what was expected could not be decided, or the run ended early
)

// Env records the machine and the lab, so that two results can be compared.
type Env struct {
	Kernel       string  `json:"kernel"` // uname -r
	Arch         string  `json:"arch"`   // of GOARCH
	CPUs         int     `json:"cpus"`   // that the clients may run on
	Guest        string  `json:"guest"`  // what ran the guest that this was measured in, of `snatlab matrix`: "kvm" or "tcg"; else empty
	Driver       string  `json:"driver"`
	Rootless     bool    `json:"rootless"` // netns: in a user namespace, without privilege on the host
	NAT          string  `json:"nat"`      // what wrote the masquerade rule: iptables or nftables
	Docker       *string `json:"docker"`   // the engine's version; nil in a lab without one
	Firewall     *string `json:"firewall"` // who writes the engine's rules: iptables, nftables, ...
	Iptables     *string `json:"iptables"` // version and variant, "1.8.9 (nft)"
	ConntrackMax *uint64 `json:"nf_conntrack_max"`

	KernelVersion  string            `json:"kernel_version"`     // uname -v: how and when it was built
	KernelConfig   *string           `json:"kernel_config_hash"` // "sha256:" and 12 digits
	CPUModel       *string           `json:"cpu_model"`
	CPUsOnline     int               `json:"cpus_online"`
	Governor       *string           `json:"cpu_governor"`
	Virtualisation *string           `json:"virtualisation"`    // "kvm", "none", ...
	MemoryTotal    *uint64           `json:"memory_total"`      // bytes
	Load           *[3]float64       `json:"load_average"`      // over 1, 5 and 15 minutes, before the lab was built
	Sysctls        map[string]string `json:"sysctls"`           // of the router's namespace, those that matter
	Widened        int               `json:"postrouting_rules"` // idle rules between NAT and confirmation; 0 but on demand

	ClientNetwork string `json:"client_network"`         // prefix that is masqueraded
	ControlRule   string `json:"control_rule,omitempty"` // the rule that the control's connections pass; empty without a control
	SharedNetwork string `json:"shared_network"`         // its name, if others use it as well: their connections passed the rule, too; else empty
	Server        string `json:"server"`                 // address that the clients connect to
}

// Arm is one condition under comparison, with all its trials.
type Arm struct {
	Name        string   `json:"name"`
	Rule        string   `json:"rule"`     // the masquerade rule in force, as its own tool prints it
	Settings    []string `json:"settings"` // what the arm sets apart from the rule, in sentences
	Trials      []Trial  `json:"trials"`
	FailureRate Spread   `json:"failure_rate"`   // over trials: failed / requests
	LatencyP50  Spread   `json:"latency_p50_us"` // over trials
	LatencyP99  Spread   `json:"latency_p99_us"`

	// SettingValues are the settings as values, in the order of Settings. Nil in
	// results of versions before they were recorded.
	SettingValues []Setting `json:"setting_values,omitempty"`

	// Options are those of the rule. Nil in results of versions before they were
	// recorded; when such a result is read, they are taken from the text of the rule.
	Options *RuleOptions `json:"options,omitempty"`

	// ToPorts is the range that the rule is given to choose source ports from; nil
	// where it is given none.
	ToPorts *Ports `json:"to_ports,omitempty"`
	// ClientPorts reaches from the lowest source port that a client connected from
	// in a trial of the arm to the highest; nil where no client connected.
	ClientPorts *Ports `json:"client_ports,omitempty"`

	// ToSource are the addresses that the rule translates to, where it is given
	// some. The kernel picks one of them by a hash of the client's address and the
	// server's, so a client keeps the same one.
	ToSource []string `json:"to_source,omitempty"`
	// Sources are the addresses that connections reached the server from, in all
	// trials, in ascending order. Nil in results of versions before it was recorded.
	Sources []Source `json:"sources,omitempty"`
}

// RuleOptions are those of a rule that make it draw source ports.
type RuleOptions struct {
	Random      bool `json:"random"`
	RandomFully bool `json:"random_fully"`
}

// Setting is one thing that an arm sets apart from the rule.
type Setting struct {
	Part  string `json:"part"`  // of the lab: router, server or clients
	Key   string `json:"key"`   // the name of a sysctl, or one of the keys below
	Value string `json:"value"` // of a sysctl: as the scenario has it
}

// Source is an address that connections reached the server from.
type Source struct {
	Address     string `json:"address"`
	Connections int    `json:"connections"`
}

// Spread is the median of one figure per trial with its 95 % confidence
// interval, Low to High: order statistics, which assume no distribution. Too
// few trials have no interval: both are nil. Lowest and Highest are those of a
// trial. All are 0 where there is no trial.
type Spread struct {
	Median  float64  `json:"median"`
	Low     *float64 `json:"low"`
	High    *float64 `json:"high"`
	Lowest  float64  `json:"lowest"`
	Highest float64  `json:"highest"`
}

// Trial is one arm, run once. Requests is the same for every trial of a run,
// and the values of Failures, like those of Causes, add up to Failed.
type Trial struct {
	Round       int            `json:"round"` // from 1
	Port        int            `json:"port"`  // server port, this trial's own
	Requests    int            `json:"requests"`
	Failed      int            `json:"failed"`
	SourcePorts int            `json:"source_ports"` // that they left from, different ones for each client
	Failures    map[string]int `json:"failures"`     // by kind: what the client saw
	Causes      map[string]int `json:"causes"`       // what explains it
	Slots       Slots          `json:"slots"`
	Latency     Latency        `json:"latency_us"`
	Seconds     float64        `json:"seconds"`
	RulePackets uint64         `json:"rule_packets"` // first packets of connections that the rule matched; those of others as well where the network is shared
	Conntrack   Conntrack      `json:"conntrack"`
	Foreign     *Foreign       `json:"foreign"` // what other traffic may have added to Conntrack; nil where there is none
	Server      Server         `json:"server"`
	Evidence    *Evidence      `json:"evidence,omitempty"` // of --explain

	// Control is what became of the control's requests, and Phase how the clients were
	// kept together. Both are nil in other patterns than lockstep, and in results of
	// versions before there was a control.
	Control *Control `json:"control,omitempty"`
	Phase   *Phase   `json:"phase,omitempty"`

	// NoHits marks a trial that says nothing: neither the arm nor its control lost a
	// request to the race.
	NoHits bool `json:"no_hits,omitempty"`
}

// Control is the part of a lockstep trial that passes plain MASQUERADE whatever the
// arm is: its slots alternate with those of the arm. It shows whether the race could
// be hit in that very trial. The fields of Trial do not count its requests, except for
// Conntrack, Foreign, Slots, Seconds, and the counters of the server's namespace.
type Control struct {
	Port        int            `json:"port"` // server port
	Requests    int            `json:"requests"`
	Failed      int            `json:"failed"`
	SourcePorts int            `json:"source_ports"`
	Failures    map[string]int `json:"failures"` // by kind
	Causes      map[string]int `json:"causes"`
	Latency     Latency        `json:"latency_us"`
	RulePackets uint64         `json:"rule_packets"` // connections that the rule of the control matched
	Accepted    uint64         `json:"accepted"`     // by the server
}

// Phase is how the phase lock kept the clients of a trial together. A delay is the time
// that a client waits between the barrier and connect().
type Phase struct {
	DelayLow  int64   `json:"delay_low_ns"`  // the shortest delay of a client at the end of a turn
	DelayHigh int64   `json:"delay_high_ns"` // the longest
	Locked    float64 `json:"locked"`        // share of turns, summed over clients, in which the control was hit
	Searches  int     `json:"searches"`      // turns, summed over clients, that scanned for the phase
}

// Foreign is how much of the counters may be other traffic's: what they moved
// by in idle windows before and after the trial, by the second, for as long as
// the trial took, rounded up.
type Foreign struct {
	InsertFailed uint64  `json:"insert_failed"`
	Drop         uint64  `json:"drop"`
	Idle         float64 `json:"idle_seconds"` // that were watched
}

// Evidence is what the conntrack table says of the requests that got no answer.
type Evidence struct {
	Looked  int      `json:"looked"`  // requests that were looked up
	Dropped int      `json:"dropped"` // no entry, and the kernel counted one that could not be inserted
	Gone    int      `json:"gone"`    // no entry, and no such count accounts for it
	Passed  int      `json:"passed"`  // an entry in SYN_SENT: passed NAT, lost later
	Other   int      `json:"other"`   // an entry in another state
	Sample  []Sample `json:"sample"`  // a few of them
}

// Sample is one request that got no answer.
type Sample struct {
	Client int    `json:"client"` // from 0
	Port   int    `json:"port"`   // source port that it left from
	Entry  string `json:"entry"`  // the state of its conntrack entry: "SYN_SENT"; "none" if it has none
}

// Slots says how the clients of a trial kept in step, summed over clients.
// Lockstep only.
type Slots struct {
	BindErrors int `json:"bind_errors"` // the slot's source port was not to be had
	Missed     int `json:"missed"`      // slots that a client could not fire in; by the clock, that it came late to
	MadeUp     int `json:"made_up"`     // slots fired in addition, in place of missed ones
}

// Latency is the time from connect() to its completion in microseconds, over
// the requests that succeeded.
type Latency struct {
	P50 int64 `json:"p50"`
	P95 int64 `json:"p95"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// Conntrack is what the counters of the lab's NAT namespace moved by during a
// trial, in all and for each CPU.
type Conntrack struct {
	ConntrackCounters
	PerCPU  []CPU  `json:"per_cpu"`
	Entries uint64 `json:"entries"` // nf_conntrack_count after the trial: a level, not a difference
}

// CPU is one CPU's part of a difference.
type CPU struct {
	CPU int `json:"cpu"`
	ConntrackCounters
}

// ConntrackCounters are conntrack's own, net/netfilter/nf_conntrack_standalone.c and
// nf_conntrack_netlink.c. Those that a kernel does not have are nil.
type ConntrackCounters struct {
	InsertFailed  uint64  `json:"insert_failed"` // entry not inserted: tuple taken, or hash chain too long
	Drop          uint64  `json:"drop"`          // packet dropped by conntrack
	Found         uint64  `json:"found"`         // tuple looked at by NAT and taken
	Invalid       uint64  `json:"invalid"`
	Insert        uint64  `json:"insert"` // entries inserted by ctnetlink
	EarlyDrop     uint64  `json:"early_drop"`
	Error         uint64  `json:"error"`
	SearchRestart uint64  `json:"search_restart"`
	ClashResolve  *uint64 `json:"clash_resolve"` // Linux 5.10
	ChainTooLong  *uint64 `json:"chaintoolong"`  // Linux 5.15
}

// Server is what the server counted during a trial.
type Server struct {
	Accepted        uint64  `json:"accepted"`
	Strangers       uint64  `json:"strangers"`        // connections from other addresses than the lab's, which were reset
	ListenOverflows *uint64 `json:"listen_overflows"` // TcpExt, the server's namespace
	ListenDrops     *uint64 `json:"listen_drops"`
	PAWSTimewait    *uint64 `json:"paws_timewait"`  // SYNs dropped for an old time stamp in TIME_WAIT
	TWRecycled      *uint64 `json:"tw_recycled"`    // TIME_WAIT sockets that gave way
	RetransSegs     *uint64 `json:"retrans_segs"`   // Tcp, /proc/net/snmp
	EmbryonicRsts   *uint64 `json:"embryonic_rsts"` // TcpExt: resets of half-open connections
}

// Comparison sets an arm against the baseline.
type Comparison struct {
	Arm       string          `json:"arm"`
	Baseline  string          `json:"baseline"`
	Verdict   ArmVerdict      `json:"verdict"`
	Reduction Reduction       `json:"reduction"`
	P         *float64        `json:"p"`      // of the failure rates: exact, two-sided (Mann-Whitney U)
	PHolm     *float64        `json:"p_holm"` // adjusted for the number of comparisons; the verdict's
	Latency   []LatencyChange `json:"latency"`
	Why       Why             `json:"why,omitempty"`   // the reason of Undecided
	Least     int             `json:"least,omitempty"` // of WhyFewTrials: the trials of each arm that it takes
}

// Reduction is the share of the baseline's failure rate that an arm takes
// away: 1 is all of it, below 0 it fails more often than the baseline. Low to
// High is its 95 % interval. Nil where the baseline had no failure, or where
// there are too few trials for an interval.
type Reduction struct {
	Estimate *float64 `json:"estimate"`
	Low      *float64 `json:"low"`
	High     *float64 `json:"high"`
}

// LatencyChange is what an arm does to a percentile of the latency, as a share
// of the baseline's: 0.1 is 10 % more. Low to High is its 95 % interval.
type LatencyChange struct {
	Percentile string   `json:"percentile"` // "p50" or "p99"
	Estimate   *float64 `json:"estimate"`
	Low        *float64 `json:"low"`
	High       *float64 `json:"high"`
	P          *float64 `json:"p"`
	PHolm      *float64 `json:"p_holm"` // adjusted for all latency comparisons
}

// ArmVerdict is what a comparison says. Results that were written before there
// was Undecided have NoDifference, or ArmInconclusive for an arm without a trial,
// in its place.
type ArmVerdict string

// The verdicts of a comparison.
const (
	Mitigated       ArmVerdict = "mitigated"
	Reduced         ArmVerdict = "reduced"
	NoDifference    ArmVerdict = "no-difference" // a difference would have been seen, and was not
	Worse           ArmVerdict = "worse"         // also where the baseline showed no race
	Undecided       ArmVerdict = "undecided"     // no difference could have been seen in these trials
	ArmInconclusive ArmVerdict = "inconclusive"  // the baseline showed no race
)

// Expectation is one expectation of the scenario and what came of it. One of the
// claims is set.
type Expectation struct {
	Arm         string   `json:"arm"`
	Race        string   `json:"race,omitempty"`        // "reproduced" or "absent"
	Reduction   *float64 `json:"reduction,omitempty"`   // at least this share of the baseline's failure rate
	P50         *float64 `json:"p50,omitempty"`         // rises by at most this share of the baseline's
	P99         *float64 `json:"p99,omitempty"`         // likewise
	Unexplained *float64 `json:"unexplained,omitempty"` // at most this share of the arm's requests
	Held        *bool    `json:"held"`                  // nil: could not be decided
	Found       string   `json:"found"`
	Why         Why      `json:"why,omitempty"`   // the reason where it could not be decided, or an arm is worse
	Least       int      `json:"least,omitempty"` // of WhyFewTrials: the trials that it takes
}

// Memory is the peak resident memory of the run's processes in bytes
// (VmHWM, proc(5)).
type Memory struct {
	Controller uint64 `json:"controller_peak"`
	Client     uint64 `json:"client_peak"` // of the largest client
}
