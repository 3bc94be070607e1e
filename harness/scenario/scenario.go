// Package scenario reads the YAML file that describes an experiment: the topology,
// the load, the arms that are compared, and the expectations.
//
// Reading is strict, see package strictyaml: all faults of a file are reported at
// once, each with its line and column. Defaults are defined only in [Default].
package scenario

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"snatlab/harness/result"
	"snatlab/harness/scenario/sysctl"
)

// Scenario is one experiment. [Scenario.Canonical] returns its YAML form with every
// default filled in, and `snatlab plan` prints that.
type Scenario struct {
	Name       string             `yaml:"name"`
	Driver     string             `yaml:"driver"`            // result.DriverDocker, result.DriverNetns or result.DriverKubernetes
	NAT        string             `yaml:"nat"`               // the writer of the masquerade rule: result.NATIPTables or result.NATNFTables
	Clients    int                `yaml:"clients"`           // 1 to MaxClients
	Network    string             `yaml:"network,omitempty"` // an existing Docker network for the clients; empty: the lab makes one
	Server     ServerSettings     `yaml:"server,omitempty"`
	DNAT       DNATSettings       `yaml:"dnat,omitempty"`
	Kubernetes KubernetesSettings `yaml:"kubernetes,omitempty"`
	Lab        LabSettings        `yaml:"lab,omitempty"`
	Load       LoadSettings       `yaml:"load"`
	Rounds     int                `yaml:"rounds"`          // at least; see Until
	Until      Until              `yaml:"until,omitempty"` // lockstep only
	Seed       *uint64            `yaml:"seed,omitempty"`  // draws the order of the arms in each round; nil: each run draws a seed of its own
	Arms       []Arm              `yaml:"arms"`            // the first one is the baseline
	Expect     []Expect           `yaml:"expect,omitempty"`

	// natWritten reports that the file sets nat: then SetDriver does not replace
	// NAT.
	natWritten bool

	// rulesWritten reports that the file sets lab.postrouting_rules.
	rulesWritten bool
}

// RequiresRules reports whether the file itself asks for idle rules. If they are only
// the default, a lab whose kernel lacks a part of nftables does without them.
func (s *Scenario) RequiresRules() bool { return s.rulesWritten }

// DefaultRules returns the number of idle rules for a file that does not set
// lab.postrouting_rules. With pattern ephemeral there are none: its question is how
// often the race occurs by itself. On a network with other containers they are not
// allowed.
func (s *Scenario) DefaultRules() int {
	if !result.InLockstep(s.Load.Pattern) || s.Network != "" {
		return 0
	}
	return lockstepRules
}

// ServerSettings are those of the server that the clients connect to: `snatlab serve` on
// another machine, or a server of the lab's own (the zero value, or with a filter).
type ServerSettings struct {
	Address           netip.AddrPort `yaml:"address,omitempty"`             // IPv4 address of `snatlab serve`, and the port of its orders
	AcceptSourcePorts PortRange      `yaml:"accept_source_ports,omitempty"` // zero: all
}

// DNATSettings are those of a service address that the clients connect to, and that the
// router translates to one of the backends. The zero value is none: they connect to the
// server itself.
type DNATSettings struct {
	Backends int `yaml:"backends"` // addresses of the lab's server, 1 to MaxBackends
}

// KubernetesSettings are those of the Pods of a lab in a cluster.
type KubernetesSettings struct {
	Image      string `yaml:"image,omitempty"`       // empty: that of this program
	PullPolicy string `yaml:"pull_policy,omitempty"` // imagePullPolicy of the Pods; empty: IfNotPresent
}

// LabSettings are changes to the lab of a driver.
type LabSettings struct {
	// Family is that of the lab's addresses: result.IPv6, or empty, which is result.IPv4.
	Family string `yaml:"family,omitempty"`
	// PostroutingRules is the number of idle rules between NAT and confirmation:
	// 0 to MaxPostroutingRules. They widen the window of the race. If the file does
	// not set it, see DefaultRules.
	PostroutingRules int `yaml:"postrouting_rules,omitempty"`
	// AllowHostSysctls allows the arms of a docker lab to set sysctls of its
	// router, which is the host.
	AllowHostSysctls bool `yaml:"allow_host_sysctls,omitempty"`
	// AllowSharedNetwork allows a network that other containers use. Its masquerade
	// rule is rewritten during the trials of some arms.
	AllowSharedNetwork bool `yaml:"allow_shared_network,omitempty"`
	// ConntrackMax is nf_conntrack_max, in a guest of `snatlab matrix`. It belongs to the
	// whole machine. 0: as it is, with room for every trial.
	ConntrackMax int `yaml:"conntrack_max,omitempty"`
}

// LoadSettings are the requests that every client sends in every trial.
type LoadSettings struct {
	Protocol    string        `yaml:"protocol"` // result.TCP or result.UDP
	Pattern     string        `yaml:"pattern"`  // result.Lockstep, result.Ephemeral or result.DNS
	Requests    int           `yaml:"requests"` // per client and trial
	Rate        Rate          `yaml:"rate"`     // lockstep: slots per second; ephemeral: requests per second and client
	Timeout     time.Duration `yaml:"timeout"`  // of one request; below the 1 s after which the kernel sends a SYN again
	Sync        string        `yaml:"sync,omitempty"`
	Threads     int           `yaml:"threads,omitempty"`     // dns only: that send the two queries of a look-up
	Concurrency int           `yaml:"concurrency,omitempty"` // ephemeral only: open requests of a client at a time
	Hold        time.Duration `yaml:"hold,omitempty"`        // that a connection of TCP stays open after its handshake; 0: it is closed at once
	Close       string        `yaml:"close,omitempty"`       // who closes it, and how: result.CloseFIN or result.CloseFINServer; empty: result.CloseReset
}

// Holds reports whether connections stay open after their handshake, if only until both
// sides have closed them.
func (l LoadSettings) Holds() bool { return l.Hold > 0 || l.Close != "" }

// Until is what ends a run once its least number of rounds is done: the first of these
// bounds that is reached at the end of a round. The zero value is none: the number of
// rounds is exact.
type Until struct {
	Hits      int           `yaml:"hits"`       // lost requests of the control that each arm is to reach, if it has a control of its own
	RoundsMax int           `yaml:"rounds_max"` // at least the scenario's rounds; if it is equal to them, their number is exact
	TimeMax   time.Duration `yaml:"time_max"`   // since the first round began
}

// Rate is a number of events per second. 0 is no limit, and is written "max".
type Rate int

// Arm is one condition under comparison: the changes to the lab during its trials.
// An arm without changes uses the masquerade rule as the driver made it.
type Arm struct {
	Name            string            `yaml:"name"`
	Masquerade      MasqueradeOptions `yaml:"masquerade,omitempty"`
	SNAT            SNATOptions       `yaml:"snat,omitempty"`              // instead of the masquerade rule
	ClientPorts     string            `yaml:"client_ports,omitempty"`      // result.SplitPorts, or empty: all clients use the same
	ClientPortRange PortRange         `yaml:"client_port_range,omitempty"` // net.ipv4.ip_local_port_range of the clients; ephemeral only
	Resolver        string            `yaml:"resolver,omitempty"`          // dns only: result.SingleRequest, ...; empty: both queries of a look-up at once
	NoTrack         bool              `yaml:"notrack,omitempty"`           // dns only: conntrack does not see the arm's packets
	Sysctls         Sysctls           `yaml:"sysctls,omitempty"`
}

// MasqueradeOptions are the options of the MASQUERADE target.
type MasqueradeOptions struct {
	Plain       bool `yaml:"plain,omitempty"` // without the options that the rule of the node may have
	Random      bool `yaml:"random,omitempty"`
	RandomFully bool `yaml:"random_fully,omitempty"`
	// Removes makes the rule draw the ports of a part of the connections only, so that
	// two clients lose this share less to the race: above 0 and below 1. 0: the rule
	// draws all. It is for tests of the tool.
	Removes Share     `yaml:"removes,omitempty"`
	ToPorts PortRange `yaml:"to_ports,omitempty"`
}

// SNATOptions translates connections to the given addresses, and not to the address
// of the outgoing interface. The addresses are added to that interface for a trial.
type SNATOptions struct {
	ToSource    []netip.Addr `yaml:"to_source"` // consecutive, out of network.Labs of the lab's family
	Random      bool         `yaml:"random,omitempty"`
	RandomFully bool         `yaml:"random_fully,omitempty"`
	Persistent  bool         `yaml:"persistent,omitempty"`
	// ToPorts are ranges in ascending order. Of several, each connection is translated to
	// ports of one.
	ToPorts []PortRange `yaml:"to_ports,omitempty"`
	// PortsPerClient makes a rule for each client, with a block of so many ports of each
	// address. The blocks follow each other from the first of ToPorts on. 0: all clients
	// share the ports.
	PortsPerClient int `yaml:"ports_per_client,omitempty"`
}

// Share is a share between 0 and 1. In a scenario it is written in percent, "90%".
type Share float64

// DrawnPerMillion returns of how many connections in a million the rule draws the port,
// or 0 for all of them. Two clients collide in a slot only if both keep their port. With
// a chance of q for each of them to draw one, (1-q)² of the collisions remain.
func (m MasqueradeOptions) DrawnPerMillion() uint32 {
	return uint32(math.Round(1e6 * (1 - math.Sqrt(1-float64(m.Removes)))))
}

// PortRange is a range of ports, both ends included. In a scenario it is written
// "A-B". The zero value is none.
type PortRange struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

// String returns the range as it is written in a scenario.
func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

// Sysctls are set during the trials of an arm, in the network namespaces of the lab.
type Sysctls struct {
	Router  []sysctl.Setting `yaml:"router,omitempty"`
	Server  []sysctl.Setting `yaml:"server,omitempty"`
	Clients []sysctl.Setting `yaml:"clients,omitempty"` // each of them
}

// Expect is an expectation of one arm. Exactly one of its claims is set. Bounds are
// shares: 0.05 is 5 %.
type Expect struct {
	Arm         string   `yaml:"arm"`
	Race        string   `yaml:"race,omitempty"`        // result.Reproduced or result.Absent
	Reduction   *float64 `yaml:"reduction,omitempty"`   // at least this share of the failures is gone; written ">=95%"
	P50         *float64 `yaml:"p50,omitempty"`         // the median latency rises by at most this share of the baseline's; written "<=20%"
	P99         *float64 `yaml:"p99,omitempty"`         // the same for the 99th percentile
	Unexplained *float64 `yaml:"unexplained,omitempty"` // at most this share of the requests fails without a known cause; written "<=0.1%"
	Filtered    *float64 `yaml:"filtered,omitempty"`    // at least this share of the requests is dropped for its source port; written ">=40%"

	// At least this share of the requests fails of the cause of that name; written ">=40%".
	PortExhaustion *float64 `yaml:"port_exhaustion,omitempty"`
	TableFull      *float64 `yaml:"table_full,omitempty"`
}

// Limits of a scenario.
const (
	MaxClients = 64
	MaxRounds  = 1000
	MaxArms    = 32

	MaxBackends = 16

	MaxPostroutingRules = 20_000

	// MaxTrial bounds the requests of all clients in one trial. All of them have
	// the same destination and are translated to one address, which has 64,512
	// source ports. NAT finds a free port quickly while half of them are free.
	MaxTrial = 32_000
)

// Default returns the scenario with the default of each field. Name and arms have no
// default. Fields whose default depends on another field are not set.
func Default() Scenario {
	return Scenario{
		Driver:  result.DriverDocker,
		Clients: 2,
		Load: LoadSettings{
			Protocol: result.TCP,
			Pattern:  result.Lockstep,
			Requests: 3000,
			Timeout:  500 * time.Millisecond,
		},
	}
}

// Defaults that depend on the load's pattern.
const (
	DefaultSync        = result.SyncBarrier // lockstep
	DefaultConcurrency = 64                 // ephemeral

	// lockstepRules is the number of idle rules of lockstep. With so many, two clients
	// lose most of their pairs whether the machine is at rest, is busy, or runs one
	// client slower than the other; more add nothing: see TestWindow in cmd/snatlab.
	lockstepRules = 1000
)

// Defaults of what ends a run. They depend on the pattern and on the arms.
const (
	DefaultRounds      = 6    // where every arm has a control of its own: with 5, Student's quantile is so high that 1 in 50 halved failures is missed
	UncontrolledRounds = 12   // rounds where an arm has none: its trials are compared with those of the baseline
	DefaultHits        = 1100 // 1,005 say that 99 % of the failures are gone if the arm has a chance hit, 764 if it has none
	DefaultRoundsMax   = 60
	DefaultTimeMax     = 5 * time.Minute
)

// DefaultNAT returns the writer of the masquerade rule for a file that does not set
// nat. With Docker there is no choice: Docker writes the rule.
func DefaultNAT(driver string) string {
	if driver == result.DriverNetns {
		return result.NATNFTables
	}
	return result.NATIPTables
}
