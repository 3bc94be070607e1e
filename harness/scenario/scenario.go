// Package scenario reads the YAML file that describes an experiment: the
// topology, the load, the arms that are compared, and what is expected.
//
// Reading is strict. An unknown key, a wrong type, a value that is missing or
// out of range is a [Fault] with its file, line and column, and all faults of
// a file are told at once. Defaults stand in [Default] and nowhere else.
package scenario

import (
	"fmt"
	"net/netip"
	"time"

	"snatlab/harness/result"
)

// Scenario is one experiment. Its YAML form, with every default filled in, is
// what [Scenario.Canonical] gives and `snatlab plan` prints.
type Scenario struct {
	Name    string       `yaml:"name"`
	Driver  string       `yaml:"driver"`            // result.DriverDocker or result.DriverNetns
	NAT     string       `yaml:"nat"`               // what writes the masquerade rule: result.NATIPTables or result.NATNFTables
	Clients int          `yaml:"clients"`           // 1 to MaxClients
	Network string       `yaml:"network,omitempty"` // a Docker network that is there already, for the clients; empty: one of the lab's own
	Server  RemoteServer `yaml:"server,omitempty"`
	Lab     LabSettings  `yaml:"lab,omitempty"`
	Load    LoadSettings `yaml:"load"`
	Rounds  int          `yaml:"rounds"`
	Seed    uint64       `yaml:"seed"` // draws the order of the arms in each round
	Arms    []Arm        `yaml:"arms"` // the first one is the baseline
	Expect  []Expect     `yaml:"expect,omitempty"`

	// natWritten tells that NAT stands in the file: then it is not for
	// SetDriver to replace.
	natWritten bool
}

// RemoteServer says where the clients connect to: a server of the lab's own (the
// zero value), or `snatlab serve` on another machine.
type RemoteServer struct {
	Address netip.AddrPort `yaml:"address,omitempty"` // IPv4 address and control port of `snatlab serve`
}

// LabSettings changes what the lab is by itself.
type LabSettings struct {
	// PostroutingRules is a number of idle rules between NAT and confirmation,
	// which widen the window of the race: 0 to MaxPostroutingRules.
	PostroutingRules int `yaml:"postrouting_rules,omitempty"`
	// AllowHostSysctls lets the arms of a docker lab set sysctls of its router,
	// which is the host.
	AllowHostSysctls bool `yaml:"allow_host_sysctls,omitempty"`
	// AllowSharedNetwork lets the lab's clients be on a network that others use,
	// whose masquerade rule is rewritten during the trials of some arms.
	AllowSharedNetwork bool `yaml:"allow_shared_network,omitempty"`
}

// LoadSettings is what every client sends in every trial.
type LoadSettings struct {
	Protocol    string        `yaml:"protocol"` // tcp
	Pattern     string        `yaml:"pattern"`  // result.Lockstep or result.Ephemeral
	Requests    int           `yaml:"requests"` // per client and trial
	Rate        Rate          `yaml:"rate"`     // lockstep: slots per second; ephemeral: requests per second and client
	Timeout     time.Duration `yaml:"timeout"`  // of one request; below the 1 s after which the kernel sends a SYN again
	Sync        string        `yaml:"sync,omitempty"`
	Concurrency int           `yaml:"concurrency,omitempty"` // ephemeral only: requests of a client in flight at once
}

// Rate is a number of events per second; 0, written "max", is as fast as it goes.
type Rate int

// Arm is one condition under comparison: what it changes of the lab for the
// time of a trial. One that changes nothing leaves the masquerade rule as the
// driver made it.
type Arm struct {
	Name            string            `yaml:"name"`
	Masquerade      MasqueradeOptions `yaml:"masquerade,omitempty"`
	SNAT            SNATOptions       `yaml:"snat,omitempty"`              // in place of the masquerade rule
	ClientPorts     string            `yaml:"client_ports,omitempty"`      // result.SplitPorts, or empty: all clients use the same
	ClientPortRange PortRange         `yaml:"client_port_range,omitempty"` // net.ipv4.ip_local_port_range of the clients; ephemeral only
	Sysctls         Sysctls           `yaml:"sysctls,omitempty"`
}

// MasqueradeOptions holds the options given to the MASQUERADE target.
type MasqueradeOptions struct {
	Random      bool      `yaml:"random,omitempty"`
	RandomFully bool      `yaml:"random_fully,omitempty"`
	ToPorts     PortRange `yaml:"to_ports,omitempty"`
}

// SNATOptions translates to addresses that are given, instead of to that of the
// outgoing interface. They are added to that interface for the time of a trial.
type SNATOptions struct {
	ToSource    []netip.Addr `yaml:"to_source"` // consecutive, out of 198.18.0.0/15
	RandomFully bool         `yaml:"random_fully,omitempty"`
}

// PortRange is a range of ports, both ends included. In a scenario it is written
// "A-B". The zero value is none.
type PortRange struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

// Sysctls are set for the time of a trial, in the network namespaces of the lab.
type Sysctls struct {
	Router  []Sysctl `yaml:"router,omitempty"`
	Server  []Sysctl `yaml:"server,omitempty"`
	Clients []Sysctl `yaml:"clients,omitempty"` // each of them
}

// Sysctl is one setting: "net.ipv4.tcp_tw_reuse", "1". Only those below net. have
// a value for each namespace.
type Sysctl struct{ Name, Value string }

// Expect is what an arm is expected to show; one of its claims is set. Bounds
// are shares: 0.05 is 5 %.
type Expect struct {
	Arm         string   `yaml:"arm"`
	Race        string   `yaml:"race,omitempty"`        // result.Reproduced or result.Absent
	Reduction   *float64 `yaml:"reduction,omitempty"`   // at least this share of the baseline's failure rate is gone; written ">=95%"
	P50         *float64 `yaml:"p50,omitempty"`         // the median latency rises by at most this share of the baseline's; written "<=20%"
	P99         *float64 `yaml:"p99,omitempty"`         // the same for the 99th percentile
	Unexplained *float64 `yaml:"unexplained,omitempty"` // at most this share of the requests fails for no known cause; written "<=0.1%"
}

// Limits of a scenario.
const (
	MaxClients = 64
	MaxRounds  = 1000
	MaxArms    = 32

	MaxPostroutingRules = 20_000

	// MaxTrial bounds the requests of all clients in one trial. They leave
	// for one destination through one address, which has 64,512 source ports
	// for them; NAT finds a free one quickly while half are free.
	MaxTrial = 32_000
)

// Default is the scenario that a file starts from. It has no name and no arm:
// those have no default. What depends on another field is not set either.
func Default() Scenario {
	return Scenario{
		Driver:  result.DriverDocker,
		Clients: 2,
		Load: LoadSettings{
			Protocol: "tcp",
			Pattern:  result.Lockstep,
			Requests: 3000,
			Timeout:  500 * time.Millisecond,
		},
		Rounds: 8,
		Seed:   1,
	}
}

// Defaults that depend on the load's pattern.
const (
	DefaultSync        = result.SyncBarrier // lockstep
	DefaultConcurrency = 64                 // ephemeral
)

// DefaultNAT is what writes the masquerade rule where the file does not say.
// Docker's is no choice: the rule is the one that Docker wrote.
func DefaultNAT(driver string) string {
	if driver == result.DriverNetns {
		return result.NATNFTables
	}
	return result.NATIPTables
}
