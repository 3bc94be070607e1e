package scenario

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"time"

	"gopkg.in/yaml.v3"
)

// The tables of a scenario's fields: one for each mapping, in the order of the
// struct's fields. They are the only place that knows keys and bounds. Reading,
// the messages about what is allowed, and the canonical form are drawn from
// them; what one field demands of another stands in check.go.

// field is one key of a mapping, and where its value goes.
type field struct {
	key      string
	value    value
	required bool
}

// drivers is every driver that a scenario may name.
var drivers = []string{Docker, Netns}

// names is what a scenario and an arm may be called: they end up in file names.
var names = pattern{
	regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`),
	"at most 63 lower-case letters, digits, dots and dashes, the first a letter or a digit",
	regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*`),
}

// networkNames are those that Docker takes, for the most part.
var networkNames = pattern{
	regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`),
	"the name of a Docker network, like bridge",
	regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*`),
}

func scenarioFields(s *Scenario) []field {
	return []field{
		{key: "name", value: text{&s.Name, names}, required: true},
		{key: "driver", value: choice{&s.Driver, drivers}},
		{key: "nat", value: choice{&s.NAT, []string{IPTables, NFTables}}},
		{key: "clients", value: integer[int]{&s.Clients, span{1, MaxClients}}},
		{key: "network", value: text{&s.Network, networkNames}},
		{key: "server", value: mapping{fields: serverFields(&s.Server)}},
		{key: "lab", value: mapping{fields: labFields(&s.Lab), flow: true}},
		{key: "load", value: mapping{fields: loadFields(&s.Load)}},
		{key: "rounds", value: integer[int]{&s.Rounds, span{1, MaxRounds}}},
		{key: "seed", value: integer[uint64]{&s.Seed, span{0, 1<<63 - 1}}},
		{key: "arms", value: list[Arm]{into: &s.Arms, length: span{1, MaxArms}, entry: arm}, required: true},
		{key: "expect", value: list[Expect]{into: &s.Expect, length: span{0, 3 * MaxArms}, entry: expectation}},
	}
}

func serverFields(s *Server) []field {
	return []field{
		{key: "address", value: address{&s.Address}, required: true},
	}
}

func labFields(l *Lab) []field {
	return []field{
		{key: "postrouting_rules", value: count{integer[int]{&l.PostroutingRules, span{0, MaxPostroutingRules}}}},
		{key: "allow_host_sysctls", value: boolean{&l.AllowHostSysctls}},
		{key: "allow_shared_network", value: boolean{&l.AllowSharedNetwork}},
	}
}

func loadFields(l *Load) []field {
	return []field{
		{key: "protocol", value: choice{&l.Protocol, []string{"tcp"}}},
		{key: "pattern", value: choice{&l.Pattern, []string{Lockstep, Ephemeral}}},
		{key: "requests", value: integer[int]{&l.Requests, span{1, maxRequests}}},
		{key: "rate", value: rate{&l.Rate, span{1, 100_000}}},
		{key: "timeout", value: duration{&l.Timeout, 10 * time.Millisecond, 900 * time.Millisecond,
			"below the 1 s after which the kernel sends a SYN again"}},
		{key: "sync", value: choice{&l.Sync, []string{Barrier, Clock}}},
		{key: "concurrency", value: integer[int]{&l.Concurrency, span{1, 4096}}},
	}
}

func arm(a *Arm) value            { return mapping{fields: armFields(a)} }
func expectation(e *Expect) value { return mapping{fields: expectFields(e), flow: true} }

func armFields(a *Arm) []field {
	return []field{
		{key: "name", value: text{&a.Name, names}, required: true},
		{key: "masquerade", value: mapping{fields: masqueradeFields(&a.Masquerade), flow: true}},
		{key: "snat", value: mapping{fields: snatFields(&a.SNAT), flow: true}},
		{key: "client_ports", value: choice{&a.ClientPorts, []string{Split}}},
		{key: "client_port_range", value: portRange{into: &a.ClientPortRange, bounds: span{1024, 65535}}},
		{key: "sysctls", value: mapping{fields: sysctlsFields(&a.Sysctls)}},
	}
}

func masqueradeFields(m *Masquerade) []field {
	return []field{
		{key: "random", value: boolean{&m.Random}},
		{key: "random_fully", value: boolean{&m.RandomFully}},
		{key: "to_ports", value: portRange{&m.ToPorts, span{1024, 65535}, " (NAT keeps lower ports apart)"}},
	}
}

func snatFields(s *SNAT) []field {
	return []field{
		{key: "to_source", value: list[netip.Addr]{
			into: &s.ToSource, length: span{1, 64}, entry: func(a *netip.Addr) value { return source{a} },
		}, required: true},
		{key: "random_fully", value: boolean{&s.RandomFully}},
	}
}

func sysctlsFields(s *Sysctls) []field {
	return []field{
		{key: "router", value: sysctls{&s.Router}},
		{key: "server", value: sysctls{&s.Server}},
		{key: "clients", value: sysctls{&s.Clients}},
	}
}

// A share of 10, which is 1000 %, is eleven times the baseline's.
func expectFields(e *Expect) []field {
	return []field{
		{key: "arm", value: text{&e.Arm, pattern{words: "the name of an arm"}}, required: true},
		{key: "race", value: choice{&e.Race, []string{Reproduced, Absent}}},
		{key: "reduction", value: share{&e.Reduction, ">=", 1}},
		{key: "p50", value: share{&e.P50, "<=", 10}},
		{key: "p99", value: share{&e.P99, "<=", 10}},
		{key: "unexplained", value: share{&e.Unexplained, "<=", 1}},
	}
}

// SetRounds replaces the rounds of the file, as a command line may. The bounds
// are those of the file; on an error the scenario is as it was.
func (s *Scenario) SetRounds(n int) error {
	changed := *s
	if err := changed.set("rounds", strconv.Itoa(n)); err != nil {
		return err
	}
	if problem := changed.lackOfPorts(); problem != "" {
		return fmt.Errorf("rounds: server.%s", problem)
	}
	*s = changed
	return nil
}

func (s *Scenario) set(key, text string) error {
	for _, f := range scenarioFields(s) {
		if f.key != key {
			continue
		}
		n := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
		if problem := f.value.read(nil, key, n); problem != "" {
			return errors.New(complaint(f, n, problem))
		}
		return nil
	}
	panic("scenario has no field " + key)
}
