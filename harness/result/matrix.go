package result

import "time"

// MatrixSchema names the meaning of the fields of [Matrix].
const MatrixSchema = "snatlab.matrix/v1"

// Matrix is the record of one scenario on several kernels, matrix.json.
type Matrix struct {
	Schema     string          `json:"schema"`
	Version    string          `json:"version"`
	Scenario   ScenarioSummary `json:"scenario"`
	Started    time.Time       `json:"started"`
	Seconds    float64         `json:"seconds"`
	Incomplete string          `json:"incomplete,omitempty"` // why kernels are missing: the matrix was interrupted
	Rows       []Row           `json:"rows"`                 // in the order in which the kernels were given
}

// Row is one kernel.
type Row struct {
	Kernel   string    `json:"kernel"` // uname -r; the kernel as it was given, where that could not be found out
	Spec     string    `json:"spec"`   // as it was given
	Status   RowStatus `json:"status"`
	Reason   string    `json:"reason,omitempty"`  // why it is an error
	Console  []string  `json:"console,omitempty"` // the last lines of the kernel's console, of an error
	Accel    string    `json:"accel,omitempty"`   // what ran the guest: "kvm" or "tcg"; empty for none
	Digest   string    `json:"digest"`            // of everything that determines the row: kernel, modules, scenario, program
	Attempts int       `json:"attempts"`          // guests that were booted: results of older versions may have more than one
	Seconds  float64   `json:"seconds"`           // of all attempts
	Result   *Result   `json:"result"`            // of the last attempt; nil in an error that came before it
}

// RowStatus is whether a kernel could be tested.
type RowStatus string

// The states of a row.
const (
	RowOK    RowStatus = "ok"
	RowError RowStatus = "error"
)
