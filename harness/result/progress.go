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
}
