package scenario

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"time"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
)

// The tables of a scenario's fields: one for each mapping, in the order of the
// struct's fields. Keys and bounds are defined only here. Reading, the messages
// about allowed values, and the canonical form use these tables. The rules between
// fields are in check.go.

// allDrivers are the drivers that a scenario may name.
var allDrivers = []string{result.DriverDocker, result.DriverNetns}

// namePattern matches the name of a scenario and of an arm. Both become parts of file
// names.
var namePattern = strictyaml.Pattern{
	Form:  regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,62}$`),
	Words: "at most 63 lower-case letters, digits, dots and dashes, the first a letter or a digit",
	Start: regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*`),
}

// networkPattern matches most of the names that Docker accepts for a network.
var networkPattern = strictyaml.Pattern{
	Form:  regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$`),
	Words: "the name of a Docker network, like bridge",
	Start: regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*`),
}

func scenarioFields(s *Scenario) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "name", Value: strictyaml.String{Into: &s.Name, Pattern: namePattern}, Required: true},
		{Key: "driver", Value: strictyaml.Choice{Into: &s.Driver, Of: allDrivers}},
		{Key: "nat", Value: strictyaml.Choice{Into: &s.NAT, Of: []string{result.NATIPTables, result.NATNFTables}}},
		{Key: "clients", Value: strictyaml.Integer[int]{Into: &s.Clients, Bounds: strictyaml.SpanOf(1, MaxClients)}},
		{Key: "network", Value: strictyaml.String{Into: &s.Network, Pattern: networkPattern}},
		{Key: "server", Value: strictyaml.Mapping{Fields: serverFields(&s.Server)}},
		{Key: "lab", Value: strictyaml.Mapping{Fields: labFields(s), Flow: true}},
		{Key: "load", Value: strictyaml.Mapping{Fields: loadFields(&s.Load)}},
		{Key: "rounds", Value: strictyaml.Integer[int]{Into: &s.Rounds, Bounds: strictyaml.SpanOf(1, MaxRounds)}},
		{Key: "until", Value: strictyaml.Mapping{Fields: untilFields(&s.Until), Flow: true}},
		{Key: "seed", Value: seedValue{&s.Seed}},
		{Key: "arms", Value: strictyaml.Sequence[Arm]{Into: &s.Arms, Length: strictyaml.SpanOf(1, MaxArms), Entry: armValue}, Required: true},
		{Key: "expect", Value: strictyaml.Sequence[Expect]{Into: &s.Expect, Length: strictyaml.SpanOf(0, 3*MaxArms), Entry: expectValue}},
	}
}

func serverFields(s *RemoteServer) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "address", Value: addressValue{&s.Address}, Required: true},
	}
}

func labFields(s *Scenario) []strictyaml.Field {
	l := &s.Lab
	return []strictyaml.Field{
		{Key: "postrouting_rules", Value: idleRulesValue(s)},
		{Key: "allow_host_sysctls", Value: strictyaml.Boolean{Into: &l.AllowHostSysctls}},
		{Key: "allow_shared_network", Value: strictyaml.Boolean{Into: &l.AllowSharedNetwork}},
	}
}

// idleRulesValue is the number of idle rules. Where the default is 0, it is not written.
func idleRulesValue(s *Scenario) strictyaml.Value {
	rules := strictyaml.Integer[int]{Into: &s.Lab.PostroutingRules, Bounds: strictyaml.SpanOf(0, MaxPostroutingRules)}
	if s.DefaultRules() == 0 {
		return strictyaml.OptionalInteger{Integer: rules}
	}
	return rules
}

func loadFields(l *LoadSettings) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "protocol", Value: strictyaml.Choice{Into: &l.Protocol, Of: []string{"tcp"}}},
		{Key: "pattern", Value: strictyaml.Choice{Into: &l.Pattern, Of: []string{result.Lockstep, result.Ephemeral}}},
		{Key: "requests", Value: strictyaml.Integer[int]{Into: &l.Requests, Bounds: strictyaml.SpanOf(1, maxRequests)}},
		{Key: "rate", Value: rateValue{&l.Rate, strictyaml.SpanOf(1, 100_000)}},
		{Key: "timeout", Value: strictyaml.Duration{Into: &l.Timeout, Min: 10 * time.Millisecond, Max: 900 * time.Millisecond,
			Why: "below the 1 s after which the kernel sends a SYN again"}},
		{Key: "sync", Value: strictyaml.Choice{Into: &l.Sync, Of: []string{result.SyncBarrier, result.SyncClock}}},
		{Key: "concurrency", Value: strictyaml.Integer[int]{Into: &l.Concurrency, Bounds: strictyaml.SpanOf(1, 4096)}},
	}
}

func untilFields(u *Until) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "hits", Value: strictyaml.Integer[int]{Into: &u.Hits, Bounds: strictyaml.SpanOf(1, maxHits)}},
		{Key: "rounds_max", Value: strictyaml.Integer[int]{Into: &u.RoundsMax, Bounds: strictyaml.SpanOf(1, MaxRounds)}},
		{Key: "time_max", Value: strictyaml.Duration{Into: &u.TimeMax, Min: time.Second, Max: 24 * time.Hour,
			Why: "the least number of rounds is made whatever it takes"}},
	}
}

func armValue(a *Arm) strictyaml.Value { return strictyaml.Mapping{Fields: armFields(a)} }
func expectValue(e *Expect) strictyaml.Value {
	return strictyaml.Mapping{Fields: expectFields(e), Flow: true}
}

func armFields(a *Arm) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "name", Value: strictyaml.String{Into: &a.Name, Pattern: namePattern}, Required: true},
		{Key: "masquerade", Value: strictyaml.Mapping{Fields: masqueradeFields(&a.Masquerade), Flow: true}},
		{Key: "snat", Value: strictyaml.Mapping{Fields: snatFields(&a.SNAT), Flow: true}},
		{Key: "client_ports", Value: strictyaml.Choice{Into: &a.ClientPorts, Of: []string{result.SplitPorts}}},
		{Key: "client_port_range", Value: portRangeValue{into: &a.ClientPortRange, bounds: strictyaml.SpanOf(1024, 65535)}},
		{Key: "sysctls", Value: strictyaml.Mapping{Fields: sysctlsFields(&a.Sysctls)}},
	}
}

func masqueradeFields(m *MasqueradeOptions) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "random", Value: strictyaml.Boolean{Into: &m.Random}},
		{Key: "random_fully", Value: strictyaml.Boolean{Into: &m.RandomFully}},
		{Key: "removes", Value: removedValue{&m.Removes}},
		{Key: "to_ports", Value: portRangeValue{&m.ToPorts, strictyaml.SpanOf(1024, 65535), " (NAT keeps lower ports apart)"}},
	}
}

func snatFields(s *SNATOptions) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "to_source", Value: strictyaml.Sequence[netip.Addr]{Into: &s.ToSource, Length: strictyaml.SpanOf(1, 64), Entry: func(a *netip.Addr) strictyaml.Value { return sourceValue{a} }}, Required: true},
		{Key: "random_fully", Value: strictyaml.Boolean{Into: &s.RandomFully}},
	}
}

func sysctlsFields(s *Sysctls) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "router", Value: sysctlsValue{&s.Router}},
		{Key: "server", Value: sysctlsValue{&s.Server}},
		{Key: "clients", Value: sysctlsValue{&s.Clients}},
	}
}

// A bound of 10, which is 1000 %, allows eleven times the baseline's latency.
func expectFields(e *Expect) []strictyaml.Field {
	return []strictyaml.Field{
		{Key: "arm", Value: strictyaml.String{Into: &e.Arm, Pattern: strictyaml.Pattern{Words: "the name of an arm"}}, Required: true},
		{Key: "race", Value: strictyaml.Choice{Into: &e.Race, Of: []string{result.Reproduced, result.Absent}}},
		{Key: "reduction", Value: shareValue{&e.Reduction, ">=", 1}},
		{Key: "p50", Value: shareValue{&e.P50, "<=", 10}},
		{Key: "p99", Value: shareValue{&e.P99, "<=", 10}},
		{Key: "unexplained", Value: shareValue{&e.Unexplained, "<=", 1}},
	}
}

// SetRounds fixes the number of rounds, for a flag of the command line. The bounds are
// those of the file. On an error the scenario is unchanged.
func (s *Scenario) SetRounds(n int) error {
	changed := *s
	if err := changed.setField("rounds", strconv.Itoa(n)); err != nil {
		return err
	}
	if changed.Until != (Until{}) {
		changed.Until.RoundsMax = n
	}
	if problem := changed.describePortShortage(); problem != "" {
		return fmt.Errorf("rounds: server.%s", problem)
	}
	*s = changed
	return nil
}

// setField sets the field of a key from text, within the bounds of the file.
func (s *Scenario) setField(key, text string) error {
	fields := scenarioFields(s)
	i := slices.IndexFunc(fields, func(f strictyaml.Field) bool { return f.Key == key })
	return fields[i].ReadText(text)
}
