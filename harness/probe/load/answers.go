package load

import (
	"time"

	"snatlab/harness/probe"
)

// answers waits for those of a server's program, as opposed to its kernel. The program
// gets a CPU when the clients leave it one, so a client sleeps meanwhile. A request whose
// answer has not come when others have stopped coming counts as lost for the phase lock,
// until its answer comes after all.
type answers struct {
	unit     time.Duration // that sending a request takes; 0: not known
	patience time.Duration // how long no answer has come when those that came are all
}

// leastPatience is a number of units: the server receives and sends for each request.
const leastPatience = 16

// await waits as long as answers come. If answers to requests that counted as lost have come since, the patience was too short: it is
// doubled, and shrinks again slowly.
func (a *answers) await(cs *connections) error {
	if cs.overdue > 0 {
		a.patience *= 2
	} else {
		a.patience -= a.patience / 8
	}
	least := max(quiet, leastPatience*a.unit)
	a.patience = max(least, min(a.patience, time.Duration(cs.timeout/4)))
	for open, last := cs.open, probe.MonotonicTime(); open > 0 && probe.MonotonicTime()-last < int64(a.patience); {
		if err := cs.reapCompleted(a.patience); err != nil {
			return err
		}
		if cs.open < open {
			open, last = cs.open, probe.MonotonicTime()
		}
	}
	cs.judged, cs.overdue = cs.launched, 0
	return nil
}

// keepUp waits in the middle of a turn whose requests would else expire before the server
// has come to answer them.
func (a *answers) keepUp(cs *connections) error {
	if cs.answersAtOnce() || cs.judged == cs.launched || probe.MonotonicTime()-cs.conns[cs.judged].launched < cs.timeout/16 {
		return nil
	}
	return a.await(cs)
}
