// Package watched holds the types and the vocabulary of what `snatlab watch` prints. No
// behaviour.
package watched

import (
	"net/netip"
	"time"
)

// Schema is the schema of what `snatlab watch --json` prints.
const Schema = "snatlab.watch/v1"

// Counters are the names of the counters of conntrack, those of lost packets first.
var Counters = []string{
	"insert_failed", "drop", "early_drop", "chaintoolong", "found", "clash_resolve", "invalid", "error", "insert", "search_restart",
}

// State is the state of a network namespace's conntrack and NAT at one instant.
type State struct {
	Schema   string    `json:"schema"`
	Time     time.Time `json:"time"`
	Of       Target    `json:"of"`
	Seconds  float64   `json:"seconds"`            // since the first reading; 0: there is one reading only, and no rates
	Window   float64   `json:"window"`             // seconds that the field recent of each counter is about, up to 60
	Readings int       `json:"readings,omitempty"` // of a text with several: recent is the difference of the first and the last
	// Restarts is how often the counters went back, because the namespace is another one.
	// Counting began again each time.
	Restarts int                `json:"restarts"`
	Entries  *uint64            `json:"entries,omitempty"` // in the table
	Max      *uint64            `json:"max,omitempty"`     // nf_conntrack_max; 0: no limit
	Counters map[string]Counter `json:"counters"`          // of all CPUs; without those that the kernel lacks
	CPUs     []CPU              `json:"cpus"`

	Meanings     []Meaning     `json:"meanings"`
	Rules        *Rules        `json:"rules,omitempty"`        // nil: not listed
	Destinations *Destinations `json:"destinations,omitempty"` // nil: not listed
	Missing      []Missing     `json:"missing,omitempty"`      // parts that could not be read
}

// Target is what is watched.
type Target struct {
	Kind   Kind   `json:"kind"`
	Name   string `json:"name,omitempty"`   // of the process, file or run
	Kernel string `json:"kernel,omitempty"` // its release; empty for a text
}

// Kind is the kind of a target.
type Kind string

const (
	Host Kind = "host"  // the namespace of the caller
	Net  Kind = "netns" // another network namespace
	Lab  Kind = "lab"   // the router of a lab
	Text Kind = "text"  // counters that another program printed
)

// Counter is one counter.
type Counter struct {
	Total     uint64  `json:"total"`      // as the kernel shows it; the counter of a CPU wraps at 2^32
	PerSecond float64 `json:"per_second"` // between the last two readings
	Recent    uint64  `json:"recent"`     // in the last seconds of Window; 0 for a single CPU
}

// CPU holds the counters of one CPU.
type CPU struct {
	CPU      int                `json:"cpu"`
	Counters map[string]Counter `json:"counters"`
}

// Rules are the rules that translate source addresses.
type Rules struct {
	Age    float64  `json:"age_seconds"`
	Rules  []Rule   `json:"rules"`
	Unread []string `json:"unread,omitempty"` // places that may hold more, with the reason
}

// Rule is one of these rules.
type Rule struct {
	Program   string   `json:"program"` // "iptables (nft)", "iptables (legacy)", "nftables"
	Place     string   `json:"place"`   // its chain
	Text      string   `json:"rule"`
	Random    bool     `json:"random"`               // the source port is drawn at random (--random, --random-fully)
	ToPorts   string   `json:"to_ports,omitempty"`   // the range of ports, if the rule has one
	Packets   *uint64  `json:"packets,omitempty"`    // first packets of connections; nil without a counter
	PerSecond *float64 `json:"per_second,omitempty"` // between the last two listings
}

// Destinations are the destinations with the most entries.
type Destinations struct {
	Age     float64       `json:"age_seconds"`
	Took    float64       `json:"took_seconds"`
	Entries int           `json:"entries"`            // that were listed
	AtLeast bool          `json:"at_least,omitempty"` // there were too many destinations: each may have a few more entries
	Top     []Destination `json:"top"`
}

// Destination is a destination, seen from one source address. The connections
// between these two addresses to this port share one range of source ports.
type Destination struct {
	Protocol   string         `json:"protocol"`
	To         netip.AddrPort `json:"to"`
	From       netip.Addr     `json:"from"` // after NAT
	Entries    int            `json:"entries"`
	Translated int            `json:"translated"` // of these, with a translated source
}

// NATPorts is the number of source ports that the kernel tries for a translated
// connection without a range of ports: 1024 to 65535.
const NATPorts = 64512

// Meaning is what a counter or a figure means. Package wording has its sentence.
type Meaning struct {
	Code        MeaningCode  `json:"code"`
	Count       uint64       `json:"count,omitempty"` // in Window, or in all if there is one reading
	Advice      Advice       `json:"advice,omitempty"`
	Rule        *Rule        `json:"rule,omitempty"`        // that lets it happen
	Destination *Destination `json:"destination,omitempty"` // that is concerned
	Unsplit     bool         `json:"unsplit,omitempty"`     // a kernel before 5.10 counts resolved clashes as well
}

// MeaningCode says what happened.
type MeaningCode string

const (
	MeansRace          MeaningCode = "race"           // packets dropped at insertion, most likely for equal ports
	MeansChainTooLong  MeaningCode = "chain_too_long" // a chain of the hash table was too long
	MeansOtherDrops    MeaningCode = "other_drops"    // packets dropped for another reason than a failed insertion
	MeansEvicted       MeaningCode = "evicted"        // entries removed to make room
	MeansNearlyFull    MeaningCode = "nearly_full"    // of the table
	MeansFewPorts      MeaningCode = "few_ports"      // a destination has used most source ports
	MeansPortsTaken    MeaningCode = "ports_taken"    // NAT met many ports that were taken
	MeansClashResolved MeaningCode = "clash_resolved" // packets of one UDP socket at the same moment
	MeansInvalid       MeaningCode = "invalid"        // packets that belong to no connection
	MeansNothingLost   MeaningCode = "nothing_lost"
)

// Lost reports whether connections are lost, or are about to be.
func (c MeaningCode) Lost() bool {
	switch c {
	case MeansRace, MeansChainTooLong, MeansOtherDrops, MeansEvicted, MeansNearlyFull, MeansFewPorts:
		return true
	}
	return false
}

// Advice says what can be done about lost packets.
type Advice string

const (
	AdviceRandom    Advice = "random"     // add the option to Rule
	AdviceAnyRandom Advice = "any_random" // the rules are not known
	AdviceNoRule    Advice = "no_rule"    // no rule translates here, so it is another cause
	AdviceIsRandom  Advice = "is_random"  // every rule has the option
)

// Missing is a part that could not be read.
type Missing struct {
	Part   Part   `json:"part"`
	Cause  string `json:"cause"`
	Denied bool   `json:"denied,omitempty"` // it needs privilege
}

// Part is a part of a State.
type Part string

const (
	PartMax          Part = "max"
	PartRules        Part = "rules"
	PartDestinations Part = "destinations"
)
