package store

import (
	"testing"

	"snatlab/harness/history/historytest"
	"snatlab/harness/result"
)

// Runs by hand are a series of their own in a history.
func TestHistoryByHand(t *testing.T) {
	t.Parallel()
	byHand := func(r *result.Result) { r.Command = result.CommandRun }
	s := newStore(t, historytest.RunSpec{Day: 1}.MakeResult(), historytest.RunSpec{Day: 2, Change: byHand}.MakeResult(), historytest.RunSpec{Day: 3}.MakeResult())
	h, err := s.History("")
	if err != nil || len(h.Series) != 2 {
		t.Fatalf("%+v, %v", h, err)
	}
	nights, hand := h.Series[0], h.Series[1]
	if nights.ByHand || len(nights.Runs) != 2 || !hand.ByHand || len(hand.Runs) != 1 || nights.ID == hand.ID || nights.Key != hand.Key {
		t.Errorf("nights %+v, by hand %+v", nights, hand)
	}
}
