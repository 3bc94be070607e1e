// Package result holds the types of result.json, the record of one run.
//
// Every report is made from a Result alone, and other programs read the file. Fields
// are added, never renamed, and [Schema] changes when the meaning of a field does.
// The package derives small values, does no I/O and imports nothing of ours.
//
// Rates are shares between 0 and 1. A pointer that is nil (null in JSON) means
// that the figure is not known, which is not the same as 0.
package result

import (
	"net/netip"
	"time"
)

// Schema names the meaning of the fields of this package.
const Schema = "snatlab.result/v1"

// Result is the record of one run. A run that was interrupted or that broke
// off has the trials it finished, and the reason in Incomplete.
type Result struct {
	Schema      string          `json:"schema"`
	ID          string          `json:"id"` // unique: start time and a random part, fit for a file name
	Version     string          `json:"version"`
	Command     string          `json:"command,omitempty"` // of snatlab, that made the run
	Label       string          `json:"label,omitempty"`   // that the user gave to the run
	Scenario    ScenarioSummary `json:"scenario"`
	Started     time.Time       `json:"started"`
	Seconds     float64         `json:"seconds"` // of the whole run, building and removing the lab included
	Verdict     Verdict         `json:"verdict"`
	Summary     string          `json:"summary"`              // the verdict in one sentence
	Incomplete  string          `json:"incomplete,omitempty"` // why the run ended early
	Environment Env             `json:"environment"`
	Arms        []Arm           `json:"arms"`        // in the scenario's order; the first is the baseline
	Comparisons []Comparison    `json:"comparisons"` // of every other arm with its control, or with the baseline
	Expected    []Expectation   `json:"expected"`
	Warnings    []string        `json:"warnings"` // printed as footnotes

	// WarningValues are the warnings as values, in the order of Warnings. A result of
	// a version before they were recorded has none in its file; when it is read, it
	// gets values without a code.
	WarningValues []Warning `json:"warning_values,omitempty"`

	Memory Memory `json:"memory"`

	// WarmUp is the first trial of the lab, of the baseline. It counts for nothing. Nil
	// in results of versions before it was recorded.
	WarmUp *Trial `json:"warm_up,omitempty"`

	// Instrument is the baseline against its own control, which both pass plain
	// masquerade: how well the control stands for an arm. Nil without a control.
	Instrument *Remaining `json:"instrument,omitempty"`
}

// ScenarioSummary is the part of the scenario that the figures depend on.
type ScenarioSummary struct {
	Name     string `json:"name"`
	Hash     string `json:"hash"`           // of the scenario with its defaults, without the driver, and without a seed that the run drew
	Text     string `json:"text,omitempty"` // the scenario in YAML, with its defaults; empty in results of versions before it was recorded
	Clients  int    `json:"clients"`
	Protocol string `json:"protocol,omitempty"` // TCP or UDP; empty in results of versions before it was recorded: TCP
	Pattern  string `json:"pattern"`            // lockstep, ephemeral or dns
	Sync     string `json:"sync"`               // what kept the clients in step: barrier, clock or none
	Threads  int    `json:"threads,omitempty"`  // of dns: threads of a client that send the two queries of a look-up
	Requests int    `json:"requests"`           // per client and trial; with Until, later trials may be larger
	Rounds   int    `json:"rounds"`
	Seed     uint64 `json:"seed"`

	// Until is what ends the run after its least number of rounds, which is Rounds. Nil
	// where Rounds is the exact number, and in results of versions before it was recorded.
	Until *Until `json:"until,omitempty"`

	// ClientPorts are the source ports of the slots of a lockstep trial, the same
	// in every trial. Slots that are made up take the ports that follow. Nil for other
	// patterns, and in results of versions before it was recorded, which used 2048
	// and the ports that follow.
	ClientPorts *Ports `json:"client_ports,omitempty"`
}

// Until is what ends a run: the first of its bounds that is reached once the least number
// of rounds is done. No bound looks at what an arm lost.
type Until struct {
	Hits      int     `json:"hits"`       // lost requests of the control that each arm that has one is to reach
	RoundsMax int     `json:"rounds_max"` // rounds at most
	TimeMax   float64 `json:"time_max_s"` // seconds of trials at most
}

// Ports is a range of ports, both ends included.
type Ports struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// Verdict is the judgement of a run as a whole.
type Verdict string

// The verdicts of a run.
const (
	Pass         Verdict = "pass"         // every expectation held; of a run without any: it had the hits to compare arms
	Fail         Verdict = "fail"         // an expectation is refuted
	Inconclusive Verdict = "inconclusive" // too little was lost to show any difference, the control is no measure of the baseline, an expectation could not be decided, or the run ended early
)

// Env is the machine and the lab, recorded so that two results can be compared.
type Env struct {
	Kernel       string  `json:"kernel"` // uname -r
	Arch         string  `json:"arch"`   // of GOARCH
	CPUs         int     `json:"cpus"`   // that the clients may run on
	Guest        string  `json:"guest"`  // the hypervisor that ran the guest, of `snatlab matrix`: "kvm" or "tcg"; else empty
	Driver       string  `json:"driver"`
	Rootless     bool    `json:"rootless"`         // netns: in a user namespace, without privilege on the host
	NAT          string  `json:"nat"`              // the writer of the masquerade rule: iptables or nftables
	Engine       string  `json:"engine,omitempty"` // EnginePodman; empty: Docker, or a lab without an engine
	Docker       *string `json:"docker"`           // the engine's version; nil in a lab without one
	Firewall     *string `json:"firewall"`         // the writer of the engine's rules: iptables, nftables, ...
	Iptables     *string `json:"iptables"`         // version and variant, "1.8.9 (nft)"
	ConntrackMax *uint64 `json:"nf_conntrack_max"`

	KernelVersion  string            `json:"kernel_version"`     // uname -v: how and when it was built
	KernelConfig   *string           `json:"kernel_config_hash"` // "sha256:" and 12 digits
	CPUModel       *string           `json:"cpu_model"`
	CPUsOnline     int               `json:"cpus_online"`
	Governor       *string           `json:"cpu_governor"`
	Virtualisation *string           `json:"virtualisation"`                      // "kvm", "none", ...
	MemoryTotal    *uint64           `json:"memory_total"`                        // bytes
	Load           *[3]float64       `json:"load_average"`                        // over 1, 5 and 15 minutes, before the lab was built
	Sysctls        map[string]string `json:"sysctls"`                             // of the router's namespace, those that matter
	Widened        int               `json:"postrouting_rules"`                   // idle rules between NAT and confirmation
	NotWidened     string            `json:"postrouting_rules_missing,omitempty"` // why the kernel cannot have the idle rules that are the default; else empty

	ClientNetwork string `json:"client_network"`         // prefix that is masqueraded
	ControlRule   string `json:"control_rule,omitempty"` // the rule that the control's connections pass; empty without a control
	SharedNetwork string `json:"shared_network"`         // name of a network that others use as well, whose connections passed the rule, too; else empty
	Server        string `json:"server"`                 // address that the clients connect to

	// Service is the address that the clients connected to; nil if that was the server's
	// own.
	Service *Service `json:"service,omitempty"`
	// AcceptSourcePorts are those that a filter before the lab's server lets in; nil
	// without one.
	AcceptSourcePorts *Ports `json:"accept_source_ports,omitempty"`

	Kubernetes *Kubernetes `json:"kubernetes,omitempty"` // nil in a lab of another driver
}

// Family returns the family of the lab's addresses: IPv4 or IPv6.
func (e Env) Family() string {
	if p, err := netip.ParsePrefix(e.ClientNetwork); err == nil && p.Addr().Is6() {
		return IPv6
	}
	return IPv4
}

// Kubernetes is the part of a cluster that a lab was in.
type Kubernetes struct {
	Version    string   `json:"version"`               // of the node's kubelet
	Runtime    string   `json:"runtime"`               // "containerd://1.6.20"
	OS         string   `json:"os"`                    // of the node
	Node       string   `json:"node"`                  // of the clients: the kernel and the counters are this node's
	ServerNode string   `json:"server_node,omitempty"` // empty: the server was outside the cluster
	Rules      []string `json:"rules"`                 // of the node that translated the clients' connections, with their places
	DrawsPorts bool     `json:"draws_ports,omitempty"` // these have --random-fully or --random already
	NoBarrier  string   `json:"no_barrier,omitempty"`  // why the clients could not share memory; empty if they could
}

// Arm is one condition under comparison, with all its trials.
type Arm struct {
	Name        string   `json:"name"`
	Rule        string   `json:"rule"`     // the masquerade rule in force, as its own tool prints it
	Settings    []string `json:"settings"` // everything that the arm sets apart from the rule, in sentences
	Trials      []Trial  `json:"trials"`
	FailureRate Spread   `json:"failure_rate"`   // over trials: failed / requests
	LatencyP50  Spread   `json:"latency_p50_us"` // over trials
	LatencyP99  Spread   `json:"latency_p99_us"`

	// Latencies are those of the requests that succeeded, of all trials, and
	// ControlLatencies those of the control. Nil in results of versions before they were
	// recorded, and where no request succeeded.
	Latencies        Histogram `json:"latency_histogram,omitempty"`
	ControlLatencies Histogram `json:"control_latency_histogram,omitempty"`

	// SettingValues are the settings as values, in the order of Settings. A result of
	// a version before they were recorded has none in its file; when it is read, they
	// are made of the sentences.
	SettingValues []Setting `json:"setting_values,omitempty"`

	// Options are those of the rule. A result of a version before they were recorded
	// has none in its file; when it is read, they are made of the text of the rule.
	Options *RuleOptions `json:"options,omitempty"`

	// ToPorts is the range that the rule is given to choose source ports from; nil
	// where it is given none.
	ToPorts *Ports `json:"to_ports,omitempty"`
	// ToPortRanges are the ranges of a rule that has several, in ascending order; ToPorts is
	// nil then.
	ToPortRanges []Ports `json:"to_port_ranges,omitempty"`
	// PortsPerClient is the number of ports that each client has for itself: ToPorts are
	// those of all clients together. 0: the clients share them.
	PortsPerClient int `json:"ports_per_client,omitempty"`
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

	// SourcePorts are the source ports that the arm's connections reached the server
	// from, after NAT, and ControlSourcePorts those of its control, in all trials. Nil in
	// results of versions before they were recorded.
	SourcePorts        *SourcePorts `json:"source_ports,omitempty"`
	ControlSourcePorts *SourcePorts `json:"control_source_ports,omitempty"`
}

// RuleOptions are those of a rule that make it draw source ports.
type RuleOptions struct {
	Random      bool `json:"random"`
	RandomFully bool `json:"random_fully"`

	// Removes is the share of the collisions of two clients that the rule removes, since
	// it draws the ports of a part of the connections only. 0: it draws all that it draws.
	Removes float64 `json:"removes,omitempty"`
}

// Setting is one thing that an arm sets apart from the rule.
type Setting struct {
	Part  string `json:"part"`  // of the lab: PartRouter, PartServer or PartClients
	Key   string `json:"key"`   // the name of a sysctl, KeySourcePorts or KeyAddress
	Value string `json:"value"` // of a sysctl: as the scenario has it
}

// Source is an address that connections reached the server from.
type Source struct {
	Address     string `json:"address"`
	Connections int    `json:"connections"`
}

// Spread is the median of one figure per trial with its 95 % confidence
// interval, Low to High: order statistics, which assume no distribution. Both are nil
// where there are too few trials. Lowest and Highest are the figures of a trial. All
// are 0 where there is no trial.
type Spread struct {
	Median  float64  `json:"median"`
	Low     *float64 `json:"low"`
	High    *float64 `json:"high"`
	Lowest  float64  `json:"lowest"`
	Highest float64  `json:"highest"`
}

// Trial is one arm, run once. Requests is the same for every trial of a round,
// and the values of Failures, like those of Causes, add up to Failed.
type Trial struct {
	Round       int            `json:"round"` // from 1
	Port        int            `json:"port"`  // server port; in half of an arm's trials it has that of the control, and the control has its own
	Requests    int            `json:"requests"`
	Failed      int            `json:"failed"`
	SourcePorts int            `json:"source_ports"` // that they left from, different ones for each client
	Failures    map[string]int `json:"failures"`     // by kind, as the client saw them
	Causes      map[string]int `json:"causes"`       // by cause
	Slots       Slots          `json:"slots"`
	Latency     Latency        `json:"latency_us"` // see [ScenarioSummary.LatencyOfSending]
	Seconds     float64        `json:"seconds"`
	Start       float64        `json:"start_s,omitempty"` // seconds from the start of the run to its first request; 0 in results of versions before it was recorded
	RulePackets uint64         `json:"rule_packets"`      // first packets of connections that the rule matched; in a shared network, also those of other containers
	Conntrack   Conntrack      `json:"conntrack"`
	Foreign     *Foreign       `json:"foreign"` // what other traffic may have added to Conntrack; nil where there is none
	Server      Server         `json:"server"`
	Datagrams   *Datagrams     `json:"datagrams,omitempty"`            // nil with TCP
	Unanswered  *Unanswered    `json:"unanswered,omitempty"`           // queries of the timeouts; nil in other patterns than dns
	Evidence    *Evidence      `json:"evidence,omitempty"`             // of --explain
	Filtered    *uint64        `json:"source_port_filtered,omitempty"` // first packets that the filter before the server dropped; nil without one

	// MostOpen is the number of connections of the arm that were open after their
	// handshakes at one time, summed over clients; 0 where they are closed at once.
	MostOpen int `json:"most_open,omitempty"`

	// RangePackets are the RulePackets of each of the arm's ToPortRanges, in their order;
	// nil where it has one range or none, and in results of versions before it was recorded.
	RangePackets []uint64 `json:"range_packets,omitempty"`

	// EndedEarly is set if the clients did not wait for the timeouts of their last
	// requests, since the kernel had counted a drop for each unanswered one. These are
	// timeouts among the failures all the same.
	EndedEarly bool `json:"ended_early,omitempty"`

	// Control is what became of the control's requests, and Phase how the clients were
	// kept together. Both are nil in other patterns than lockstep, and in results of
	// versions before there was a control.
	Control *Control `json:"control,omitempty"`
	Phase   *Phase   `json:"phase,omitempty"`

	// NoHits marks a trial that says nothing: neither the arm nor its control lost a
	// request to the race.
	NoHits bool `json:"no_hits,omitempty"`
}

// Datagrams are those that came to the clients of UDP in a trial, and were not counted as
// the answers to their requests.
type Datagrams struct {
	Foreign int    `json:"foreign"`        // not the answer to the request of their socket
	Late    uint64 `json:"late,omitempty"` // answers that came after the timeout, or a second time
}

// LatencyOfSending reports whether the latencies of a run are those of sending a datagram:
// its way through NAT to the server's queue, which lies within that call in a lab of one
// machine. The server answers when the clients of a lockstep turn leave it a CPU, so the
// time to the answer says nothing about NAT. Else latencies are the times to the answer.
func (s ScenarioSummary) LatencyOfSending() bool {
	return s.Protocol == UDP && InLockstep(s.Pattern)
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
	Filtered    *uint64        `json:"source_port_filtered,omitempty"`
	Unanswered  *Unanswered    `json:"unanswered,omitempty"` // as in Trial
}

// Phase is how the phase lock kept the clients of a trial together. A delay is the time
// that a client waits between the barrier and connect().
type Phase struct {
	DelayLow  int64   `json:"delay_low_ns"`  // the shortest delay of a client at the end of a turn
	DelayHigh int64   `json:"delay_high_ns"` // the longest
	Locked    float64 `json:"locked"`        // share of turns, summed over clients, in which the control was hit
	Searches  int     `json:"searches"`      // turns, summed over clients, that scanned for the phase
}

// Foreign is how much of the counters may be other traffic's. It is their rate in
// idle windows before and after the trial, times the length of the trial, rounded up.
type Foreign struct {
	InsertFailed uint64  `json:"insert_failed"`
	Drop         uint64  `json:"drop"`
	Idle         float64 `json:"idle_seconds"` // length of the idle windows
}

// Evidence is the state of the conntrack table for the requests that got no answer.
type Evidence struct {
	Looked  int      `json:"looked"`  // requests that were looked up
	Dropped int      `json:"dropped"` // no entry, and the kernel counted one that could not be inserted
	Gone    int      `json:"gone"`    // no entry, and the kernel counted none
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

// Slots counts how the clients of a trial kept in step, summed over clients.
// Lockstep only.
type Slots struct {
	BindErrors int `json:"bind_errors"` // slots whose source port could not be bound
	Missed     int `json:"missed"`      // slots in which a client could not fire; by the clock, for which it was late
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

// Conntrack is how far the counters of the lab's NAT namespace moved during a trial,
// in all and for each CPU.
type Conntrack struct {
	ConntrackCounters
	PerCPU  []CPU  `json:"per_cpu"`
	Entries uint64 `json:"entries"` // nf_conntrack_count after the trial: a level, not a difference
}

// CPU is the part of one CPU in a difference.
type CPU struct {
	CPU int `json:"cpu"`
	ConntrackCounters
}

// ConntrackCounters are the counters of conntrack, see
// net/netfilter/nf_conntrack_standalone.c and nf_conntrack_netlink.c. A counter that
// the kernel does not have is nil.
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
	Strangers       uint64  `json:"strangers"`        // connections from addresses outside the lab, which were reset
	ListenOverflows *uint64 `json:"listen_overflows"` // TcpExt, the server's namespace
	ListenDrops     *uint64 `json:"listen_drops"`
	PAWSTimewait    *uint64 `json:"paws_timewait"`  // SYNs dropped for an old time stamp in TIME_WAIT
	TWRecycled      *uint64 `json:"tw_recycled"`    // TIME_WAIT sockets that were replaced
	RetransSegs     *uint64 `json:"retrans_segs"`   // Tcp, /proc/net/snmp
	EmbryonicRsts   *uint64 `json:"embryonic_rsts"` // TcpExt: resets of half-open connections

	// Of UDP. Accepted are datagrams then, and Strangers got no answer.
	Malformed    uint64  `json:"malformed,omitempty"`     // datagrams that are no request; they got no answer
	ReceiveDrops *uint64 `json:"receive_drops,omitempty"` // datagrams that found the queue of the server's socket full
}

// Comparison compares an arm with its control, or with the baseline: see [Method].
type Comparison struct {
	Arm       string          `json:"arm"`
	Baseline  string          `json:"baseline"` // the first arm, whatever the method
	Verdict   ArmVerdict      `json:"verdict"`
	Reduction Reduction       `json:"reduction"`
	P         *float64        `json:"p"`      // two-sided, exact: of the counts (binomial), or of the trials' failure rates (rank sum), see Method
	PHolm     *float64        `json:"p_holm"` // adjusted for the number of comparisons; the verdict depends on it
	Latency   []LatencyChange `json:"latency"`
	Why       Why             `json:"why,omitempty"`   // the reason of Undecided, and of a Reduced that may be Mitigated
	Least     int             `json:"least,omitempty"` // of WhyFewTrials: the trials of each arm that it takes; of WhyFewHits and WhyMoreHits: the lost requests of the control

	// Method is what the arm is compared with; empty in results of versions before it
	// was recorded, which used ByTrials with medians.
	Method Method `json:"method,omitempty"`
	// Remaining is the share of the failures that remains under the arm. Its interval
	// at DecisiveConfidence decides the verdict. Nil in results of versions before it
	// was recorded.
	Remaining *Remaining `json:"remaining,omitempty"`
}

// Method is what an arm is compared with.
type Method string

// The methods of a comparison.
const (
	ByControl Method = "control" // the arm's own control, in the same trials
	ByTrials  Method = "trials"  // the baseline's trials
)

// Remaining is the share of the failures that remains under an arm: the share of its
// requests that failed, divided by that of its control, or of the baseline (see
// [Method]). 0 is none of them, 1 is as many. Without a failed request of the control
// there is no estimate, and no upper end of an interval: they are nil.
type Remaining struct {
	Failed          int      `json:"failed"`           // requests of the arm
	Requests        int      `json:"requests"`         // that the arm sent
	ControlFailed   int      `json:"control_failed"`   // of the control, or of the baseline
	ControlRequests int      `json:"control_requests"` // likewise
	Trials          int      `json:"trials"`           // of the arm, that sent requests
	Estimate        *float64 `json:"estimate"`
	Low             float64  `json:"low"` // of the 95 % interval
	High            *float64 `json:"high"`
	DecisiveLow     float64  `json:"decisive_low"` // of the interval at DecisiveConfidence
	DecisiveHigh    *float64 `json:"decisive_high"`
	Scattered       bool     `json:"scattered"`         // the intervals are those of the trials' scatter, which are wider than the exact ones of the counts
	Divided         *float64 `json:"divided,omitempty"` // the instrument's own share, by which the figures above were divided
}

// Reduction is the share of the failures that an arm removes, 1 less [Remaining]: 1 is
// all of them; below 0 the arm fails more often than its control, or than the baseline.
// Low to High is its 95 % interval. Figures that do not exist are nil. In results of
// versions before Remaining was recorded, it is that of the median trials.
type Reduction struct {
	Estimate *float64 `json:"estimate"`
	Low      *float64 `json:"low"`
	High     *float64 `json:"high"`
}

// LatencyChange is the change of a percentile of the latency by an arm, as a share of
// the baseline's: 0.1 is 10 % more. Low to High is its 95 % interval.
type LatencyChange struct {
	Percentile string   `json:"percentile"` // "p50" or "p99"
	Estimate   *float64 `json:"estimate"`
	Low        *float64 `json:"low"`
	High       *float64 `json:"high"`
	P          *float64 `json:"p"`
	PHolm      *float64 `json:"p_holm"` // adjusted for all latency comparisons
}

// ArmVerdict is the verdict of a comparison. Results of versions without Undecided
// have NoDifference in its place, or ArmInconclusive for an arm without a trial.
// NoDifference and ArmInconclusive are no verdicts any more: only old results have them.
type ArmVerdict string

// The verdicts of a comparison.
const (
	Mitigated       ArmVerdict = "mitigated"
	Reduced         ArmVerdict = "reduced"
	Equal           ArmVerdict = "equal"         // the share that remains is between 0.9 and 1.11
	NoDifference    ArmVerdict = "no-difference" // of old results: a difference would have been seen, and was not
	Worse           ArmVerdict = "worse"
	Undecided       ArmVerdict = "undecided"    // the interval allows more than one of the others
	ArmInconclusive ArmVerdict = "inconclusive" // of old results: the baseline showed no race
)

// Expectation is one expectation of the scenario with its outcome. One of the claims
// is set.
type Expectation struct {
	Arm         string   `json:"arm"`
	Race        string   `json:"race,omitempty"`        // "reproduced" or "absent"
	Reduction   *float64 `json:"reduction,omitempty"`   // at least this share of the failures is gone
	P50         *float64 `json:"p50,omitempty"`         // rises by at most this share of the baseline's
	P99         *float64 `json:"p99,omitempty"`         // likewise
	Unexplained *float64 `json:"unexplained,omitempty"` // at most this share of the arm's requests
	Filtered    *float64 `json:"filtered,omitempty"`    // at least this share of the arm's requests was dropped by the filter before the server

	// At least this share of the arm's requests failed of the cause of that name.
	PortExhaustion *float64 `json:"port_exhaustion,omitempty"`
	TableFull      *float64 `json:"table_full,omitempty"`

	Held  *bool  `json:"held"` // nil: could not be decided
	Found string `json:"found"`
	Why   Why    `json:"why,omitempty"`   // the reason where it could not be decided
	Least int    `json:"least,omitempty"` // as in [Comparison]

	// RaceRemaining is the share of the race that remains under the arm, as Remaining of
	// [Comparison] for the requests that were lost to the race. Of claims about the race;
	// nil where there was nothing to compare with. RaceAgainst is the arm that it was
	// compared with by trials; empty for the arm's own control.
	RaceRemaining *Remaining `json:"race_remaining,omitempty"`
	RaceAgainst   string     `json:"race_against,omitempty"`
}

// Memory is the peak resident memory of the run's processes in bytes (VmHWM, proc(5)). A
// client's is counted from when it has started and has dropped what only its start needed.
type Memory struct {
	Controller uint64 `json:"controller_peak"`
	Client     uint64 `json:"client_peak"` // of the largest client
}
