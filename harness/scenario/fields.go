package scenario

import (
	"errors"
	"fmt"
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
}

func scenarioFields(s *Scenario) []field {
	return []field{
		{key: "name", value: text{&s.Name, names}, required: true},
		{key: "driver", value: choice{&s.Driver, drivers}},
		{key: "nat", value: choice{&s.NAT, []string{IPTables, NFTables}}},
		{key: "clients", value: integer[int]{&s.Clients, span{1, MaxClients}}},
		{key: "server", value: mapping{fields: serverFields(&s.Server)}},
		{key: "load", value: mapping{fields: loadFields(&s.Load)}},
		{key: "rounds", value: integer[int]{&s.Rounds, span{1, MaxRounds}}},
		{key: "seed", value: integer[uint64]{&s.Seed, span{0, 1<<63 - 1}}},
		{key: "arms", value: list[Arm]{into: &s.Arms, length: span{1, MaxArms}, fields: armFields}, required: true},
		{key: "expect", value: list[Expect]{into: &s.Expect, length: span{0, 3 * MaxArms}, fields: expectFields, flow: true}},
	}
}

func serverFields(s *Server) []field {
	return []field{
		{key: "address", value: address{&s.Address}, required: true},
	}
}

func loadFields(l *Load) []field {
	return []field{
		{key: "protocol", value: choice{&l.Protocol, []string{"tcp"}}},
		{key: "pattern", value: choice{&l.Pattern, []string{Lockstep, Ephemeral}}},
		{key: "requests", value: integer[int]{&l.Requests, span{1, 30_000}}},
		{key: "rate", value: rate{&l.Rate, span{1, 100_000}}},
		{key: "timeout", value: duration{&l.Timeout, 10 * time.Millisecond, 900 * time.Millisecond,
			"below the 1 s after which the kernel sends a SYN again"}},
		{key: "sync", value: choice{&l.Sync, []string{Barrier, Clock}}},
		{key: "concurrency", value: integer[int]{&l.Concurrency, span{1, 4096}}},
	}
}

func armFields(a *Arm) []field {
	return []field{
		{key: "name", value: text{&a.Name, names}, required: true},
		{key: "masquerade", value: mapping{fields: masqueradeFields(&a.Masquerade), flow: true}},
	}
}

func masqueradeFields(m *Masquerade) []field {
	return []field{
		{key: "random", value: boolean{&m.Random}},
		{key: "random_fully", value: boolean{&m.RandomFully}},
	}
}

func expectFields(e *Expect) []field {
	return []field{
		{key: "arm", value: text{&e.Arm, pattern{words: "the name of an arm"}}, required: true},
		{key: "race", value: choice{&e.Race, []string{Reproduced, Absent}}},
		{key: "reduction", value: share{&e.Reduction}},
	}
}

// SetRounds replaces the rounds of the file, as a command line may. The bounds
// are those of the file; on an error the scenario is as it was.
func (s *Scenario) SetRounds(n int) error { return s.set("rounds", strconv.Itoa(n)) }

// SetDriver replaces the driver of the file, as a command line may, and NAT with
// the driver's default where the file does not say. What the driver cannot do
// is the error that it is in a file, without its place; on an error the
// scenario is as it was.
func (s *Scenario) SetDriver(driver string) error {
	changed := *s
	if err := changed.set("driver", driver); err != nil {
		return err
	}
	if !s.natWritten {
		changed.NAT = DefaultNAT(driver)
	}
	root := mapping{fields: scenarioFields(&changed)}.node()
	for _, l := range limits[driver] {
		if key, _ := l.place(root); key != nil {
			return fmt.Errorf("driver %s: %s", driver, l)
		}
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
