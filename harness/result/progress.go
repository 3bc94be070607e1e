package result

// Progress is how far a run is, at one of its trials.
type Progress struct {
	Arm    string `json:"arm"`
	Round  int    `json:"round"`  // from 1; 0 is the warm-up
	Rounds int    `json:"rounds"` // of the run; 0 where its number is not fixed

	// Hits are the lost requests of the control in the arm's trials so far, and
	// HitsWanted is how many of them the run waits for. HitsWanted is 0 where it does not
	// wait for this arm.
	Hits       int `json:"hits"`
	HitsWanted int `json:"hits_wanted"`

	// TrialsDone are the trials that are finished, without the warm-up, and Trials is how
	// many the run has; 0 where their number is not fixed. Share is how much of the run is
	// done, from 0 to 1, by its trials or by the hits that it waits for.
	TrialsDone int     `json:"trials_done"`
	Trials     int     `json:"trials"`
	Share      float64 `json:"share"`
}
