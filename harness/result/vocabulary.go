package result

// The levels that verdicts and intervals rest on.
const (
	Alpha              = 0.001 // a difference counts where its p, after Holm's adjustment, is below it
	Confidence         = 0.95  // of every interval that is printed without its confidence
	DecisiveConfidence = 0.999 // of the interval that a verdict or an expectation is decided by
	Floor              = 20    // a run shows the race if an arm and its control together lost at least this many requests to it
)

// The bounds of the share of the failures that remains, which the verdicts about an arm
// state.
const (
	MitigatedUpTo = 0.01 // at most this much remains
	ReducedBelow  = 0.9  // less than this remains
	WorseAbove    = 1.11 // more than this remains: 1/0.9. What is neither reduced nor worse is equal
)

// The drivers, which build a lab.
const (
	EnginePodman     = "podman"     // an engine of the driver docker that is not Docker
	DriverDocker     = "docker"     // containers and networks of this machine's Docker engine
	DriverNetns      = "netns"      // network namespaces; no daemon, and the host stays as it is
	DriverKubernetes = "kubernetes" // Pods on one node of a cluster
)

// The writers of the masquerade rule.
const (
	NATIPTables = "iptables" // the program iptables
	NATNFTables = "nftables" // netlink; needs no program
)

// The commands that keep results. A result of a version before they were recorded has none.
const (
	CommandRun     = "run"     // by hand
	CommandNightly = "nightly" // one attempt of a night
	CommandMatrix  = "matrix"  // in a guest
	CommandFleet   = "fleet"   // on a node of a cluster
)

// BareMetal is the virtualisation of a machine that is not virtual.
const BareMetal = "none"

// The protocols of a load.
const (
	TCP = "tcp" // a request is a handshake
	UDP = "udp" // a request is a datagram, which the server returns
)

// The families of a lab's addresses.
const (
	IPv4 = "ipv4"
	IPv6 = "ipv6"
)

// Who closes a connection of TCP, and how.
const (
	CloseReset     = "reset"      // the client, by RST
	CloseFIN       = "fin"        // the client first, by FIN: TIME_WAIT stays at the client
	CloseFINServer = "fin-server" // the server first: TIME_WAIT stays at the server
)

// The patterns of a load.
const (
	Lockstep  = "lockstep"  // same source port at the same moment, by agreement
	Ephemeral = "ephemeral" // ports chosen by the kernel
	DNS       = "dns"       // look-ups in lockstep: the two queries of each are a request
)

// The ways in which lockstep clients keep in step.
const (
	SyncBarrier = "barrier" // they meet in shared memory
	SyncClock   = "clock"   // they fire by CLOCK_MONOTONIC
	SyncNone    = "none"    // of other patterns
)

// The claims about the race.
const (
	Reproduced = "reproduced"
	Absent     = "absent"
)

// The percentiles of latency that are compared.
const (
	P50 = "p50"
	P99 = "p99"
)

// The states of a conntrack entry that the evidence distinguishes.
const (
	EntryNone      = "none"      // there is no entry
	EntrySYNSent   = "SYN_SENT"  // NAT let the first packet pass
	EntryUnreplied = "UNREPLIED" // the same of UDP
	EntryReplied   = "REPLIED"   // of UDP: the answer passed as well
)

// The units of a [GroupComparison] and of [ArmRuns]: the values that are compared.
const (
	UnitTrial = "trial"
	UnitRun   = "run"
	UnitNight = "night" // all runs that began within half a day
)

// The parts of a lab that an arm may set something in.
const (
	PartRouter  = "router"
	PartServer  = "server"
	PartClients = "clients"
)

// The keys of settings that are no sysctls, and the value of one.
const (
	KeySourcePorts = "source_ports" // of the clients: "40000-40015", or SplitPorts
	KeyResolver    = "resolver"     // of the clients: [SingleRequest], ...
	KeyNoTrack     = "notrack"      // the router does not track the arm's packets
	KeyAddress     = "address"      // that was added, as ip-address(8) takes it: "198.19.0.1 dev eth0"
	SplitPorts     = "split"        // each client has source ports of its own
)

// The kinds of failure, as a client sees them.
const (
	Timeout       = "timeout"       // no answer within the scenario's timeout
	Refused       = "refused"       // ECONNREFUSED
	Reset         = "reset"         // ECONNRESET
	EADDRNOTAVAIL = "eaddrnotavail" // the client had no source port left
	EADDRINUSE    = "eaddrinuse"
	Other         = "other"
)

// The causes of failure.
const (
	SNATRace       = "snat_race"            // dropped when its conntrack entry was inserted
	PortExhaustion = "port_exhaustion"      // dropped there as well, but for want of a free source port
	ChainTooLong   = "chain_too_long"       // dropped for a full hash chain
	TableFull      = "table_full"           // dropped by conntrack other than at insertion
	CauseForeign   = "foreign"              // may have been other traffic's drops in a shared table
	ListenOverflow = "listen_overflow"      // the server's accept queue was full
	ReceiveQueue   = "receive_queue"        // the queue of the server's UDP socket was full
	TimeWait       = "time_wait"            // the server had the connection in TIME_WAIT still
	SourceFiltered = "source_port_filtered" // the filter before the server does not let its source port in
	CauseRefused   = "refused"
	CauseReset     = "reset"
	ClientPorts    = "client_ports" // the client ran out of source ports
	Unexplained    = "unexplained"
)

// Why is the reason of a comparison or an expectation that could not be decided, or
// of a claim that is weaker than the figures suggest.
type Why string

// The reasons.
const (
	WhyNoTrial      Why = "no_trial"
	WhyBaseline     Why = "baseline"      // the arm is the baseline itself
	WhyNoRace       Why = "no_race"       // the race did not occur where it had to
	WhyFewHits      Why = "few_hits"      // too few requests were lost to show any difference: Least would be enough
	WhyMoreHits     Why = "more_hits"     // the interval holds a bound: Least lost requests of the control, or of the baseline, would be enough at the share that was seen; 0 where no number would be
	WhyScatter      Why = "scatter"       // the trials differ from each other by more than the counts allow, so the interval is too wide
	WhyInstrument   Why = "instrument"    // the baseline and its own control differ, which pass the same rule
	WhyFewTrials    Why = "few_trials"    // Least would be enough
	WhyNoLatency    Why = "no_latency"    // the baseline has none
	WhyOpenInterval Why = "open_interval" // the interval of the baseline's latency reaches down to 0, so that of a change has no end
	WhyBoundInside  Why = "bound_inside"  // the interval of the change holds the bound
)

// Results of earlier versions also have the reasons "worse", "no_failures",
// "ranks_and_medians" and "few_failures".
