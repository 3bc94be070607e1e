package result

// Warning is one thing that a reader of the figures has to know, as a value. Arm
// and Round name the subject: without an Arm, it is the run. The comment at each
// code names the figures that it has.
type Warning struct {
	Code  WarningCode `json:"code"` // empty in results of versions before codes were recorded
	Arm   string      `json:"arm,omitempty"`
	Round int         `json:"round,omitempty"` // from 1

	Count  int     `json:"count,omitempty"`
	Of     int     `json:"of,omitempty"`
	Least  int     `json:"least,omitempty"` // what would be enough
	Failed int     `json:"failed,omitempty"`
	Drops  int     `json:"drops,omitempty"`
	Share  float64 `json:"share,omitempty"`
	P      float64 `json:"p,omitempty"`
	Exact  bool    `json:"exact,omitempty"` // P is
	Cause  string  `json:"cause,omitempty"` // the text of an error

	DelayLow  int64 `json:"delay_low_ns,omitempty"` // of the phase lock
	DelayHigh int64 `json:"delay_high_ns,omitempty"`
}

// WarningCode names what a warning is about.
type WarningCode string

// Why the race may not have occurred, of which a run without the race has a list.
const (
	NoRaceOneClient   WarningCode = "no_race_one_client"
	NoRaceSplitPorts  WarningCode = "no_race_split_ports"    // each client of the baseline has source ports of its own
	NoRaceDrawnPorts  WarningCode = "no_race_drawn_ports"    // the baseline's rule draws ports
	NoRaceLeftOut     WarningCode = "no_race_ports_left_out" // the baseline's range leaves out the clients' ports
	NoRaceOneCPU      WarningCode = "no_race_one_cpu"
	NoRaceKernelPorts WarningCode = "no_race_kernel_ports" // the pattern is ephemeral, on a kernel since 5.0
	NoRaceClock       WarningCode = "no_race_clock"        // the clients kept step by the clock
	NoRaceMissedSlots WarningCode = "no_race_missed_slots" // Share of the baseline's slots
	NoRaceControl     WarningCode = "no_race_control"      // no trial's control was hit either: Count searches for the phase, with delays from DelayLow to DelayHigh
	NoRaceFewRequests WarningCode = "no_race_few_requests" // Count
)

// The other warnings.
const (
	FewRounds            WarningCode = "few_rounds"              // of a single arm: Count
	FewRoundsToCompare   WarningCode = "few_rounds_to_compare"   // Count, Least
	FewRoundsForInterval WarningCode = "few_rounds_for_interval" // Count, Least
	FewRoundsToScatter   WarningCode = "few_rounds_to_scatter"   // of arms that are compared with their control: Count, Least
	FewHits              WarningCode = "few_hits"                // the run ended with Count lost requests of the arm's control, of the Of that were to be reached
	InstrumentFailed     WarningCode = "instrument_failed"       // the baseline and its own control differ by too much
	InstrumentDivided    WarningCode = "instrument_divided"      // the shares of all arms were divided by that of the baseline: Share
	MachineChanged       WarningCode = "machine_changed"         // the failure rates of the baseline's trials differ tenfold
	BusyMachine          WarningCode = "busy_machine"            // the load average before the run was at least the number of CPUs
	WidenedWindow        WarningCode = "widened_window"          // of old results: idle rules stand between NAT and confirmation
	NotWidened           WarningCode = "not_widened"             // the kernel cannot have the idle rules that are the default: Cause
	NoSharedMemory       WarningCode = "no_shared_memory"        // the clients keep step by the clock: Cause
	NoControl            WarningCode = "no_control"              // the clients have Count source ports, and the requests take Of them
	NoHits               WarningCode = "no_hits"                 // neither the arm nor its control lost anything to the race in Count Of its trials
	BaselineRose         WarningCode = "baseline_rose"           // its failure rate, in the course of the run: P, Exact
	BaselineFell         WarningCode = "baseline_fell"           // likewise
	PortsLeftOut         WarningCode = "ports_left_out"          // the arm's range leaves out the clients' ports
	DrawsLowPorts        WarningCode = "draws_low_ports"         // the arm's rule draws ports that filters commonly drop: Count Of its connections came from outside CommonPorts
	FewAddresses         WarningCode = "few_addresses"           // connections left from Count of the arm's addresses, Of
	ExhaustedPorts       WarningCode = "exhausted_ports"         // Count taken ports that NAT looked at for a connection, on average
	ForeignTraffic       WarningCode = "foreign_traffic"         // in Count Of the trials: Failed insertions, Drops
	UnexplainedFailures  WarningCode = "unexplained_failures"    // Count Of the trial's
	ExcessInsertions     WarningCode = "excess_insertions"       // Count failed ones, for Of requests without an answer
	Strangers            WarningCode = "strangers"               // Count connections from addresses that are not the lab's
	FilteredPorts        WarningCode = "filtered_ports"          // the filter before the server dropped requests of some arms, for their source ports
	LateAnswers          WarningCode = "late_answers"            // of UDP: Count answers came after the timeout of their request, or twice
	ForeignDatagrams     WarningCode = "foreign_datagrams"       // of UDP: Count datagrams were neither requests of the lab nor their answers
)

// SameSubject reports whether two warnings are about the same thing, whatever their
// figures.
func (w Warning) SameSubject(o Warning) bool {
	return w.Code == o.Code && w.Arm == o.Arm && w.Round == o.Round
}
