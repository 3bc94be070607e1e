package result

import "time"

// FleetSchema names the meaning of the fields of [Fleet].
const FleetSchema = "snatlab.fleet/v1"

// Fleet is the record of one scenario on several nodes of a cluster, fleet.json.
type Fleet struct {
	Schema     string          `json:"schema"`
	Version    string          `json:"version"`
	Scenario   ScenarioSummary `json:"scenario"`
	Started    time.Time       `json:"started"`
	Seconds    float64         `json:"seconds"`
	Incomplete string          `json:"incomplete,omitempty"` // why nodes are missing: the fleet was interrupted
	Nodes      []FleetNode     `json:"nodes"`                // by name
}

// FleetNode is one node.
type FleetNode struct {
	Node    string    `json:"node"`
	Status  RowStatus `json:"status"`
	Reason  string    `json:"reason,omitempty"` // why it is an error
	Seconds float64   `json:"seconds"`
	Earlier bool      `json:"earlier,omitempty"` // of an earlier fleet that this one continues
	Result  *Result   `json:"result"`            // nil in an error that came before it
}

// AsMatrix returns the nodes as rows of a matrix: what is said of kernels there is said of
// nodes.
func (f *Fleet) AsMatrix() *Matrix {
	m := &Matrix{Schema: MatrixSchema, Version: f.Version, Scenario: f.Scenario, Started: f.Started, Seconds: f.Seconds, Incomplete: f.Incomplete, Rows: []Row{}}
	for _, n := range f.Nodes {
		m.Rows = append(m.Rows, Row{Kernel: n.Node, Spec: n.Node, Status: n.Status, Reason: n.Reason, Seconds: n.Seconds, Result: n.Result, Attempts: 1})
	}
	return m
}
