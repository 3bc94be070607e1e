package conntrack

import (
	"encoding/json"

	"github.com/ti-mo/conntrack"
)

// cpuWire is the form of [CPUCounters] in JSON: a snapshot may be read on another machine
// than the one that compares it.
type cpuWire struct {
	CPU          int             `json:"cpu"`
	Stats        conntrack.Stats `json:"stats"`
	ClashResolve *uint32         `json:"clash_resolve,omitempty"`
	ChainTooLong *uint32         `json:"chaintoolong,omitempty"`
}

// MarshalJSON writes the counters of a CPU.
func (c CPUCounters) MarshalJSON() ([]byte, error) {
	return json.Marshal(cpuWire{c.id, c.stats, c.clashResolve, c.chainTooLong})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (c *CPUCounters) UnmarshalJSON(text []byte) error {
	var w cpuWire
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	*c = CPUCounters{id: w.CPU, stats: w.Stats, clashResolve: w.ClashResolve, chainTooLong: w.ChainTooLong}
	return nil
}
