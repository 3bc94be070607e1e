package lab

import (
	"testing"

	"snatlab/harness/conntrack"
)

// The last entries of a shared table are left to others.
func TestCheckRoom(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		inUse   uint64
		entries int
		shared  bool
		want    string
	}{
		{0, 1000, false, ""},
		{1, 1000, false, "1 of 1000 entries in use, a trial wants room for 1000 more"},
		{1000, 0, false, ""},
		{0, 950, true, ""},
		{1, 950, true, "1 of 1000 entries in use, a trial wants room for 950 more, the last 50 are left to others"},
		{949, 1, true, ""},
		{950, 0, true, ""}, // of doctor, which has no scenario
		{950, 1, true, "950 of 1000 entries in use, a trial wants room for 1 more, the last 50 are left to others"},
		{951, 0, true, "951 of 1000 entries in use, the last 50 are left to others"},
	} {
		s := conntrack.Snapshot{Entries: test.inUse, Max: 1000}
		if got := CheckRoom(s, test.entries, test.shared); got != test.want {
			t.Errorf("%d in use, %d wanted, shared %t: got %q, want %q", test.inUse, test.entries, test.shared, got, test.want)
		}
	}
}

// The kernel treats a limit of 0 as no limit.
func TestCheckRoomUnlimited(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		for _, entries := range []int{0, 1, 1 << 30} {
			if got := CheckRoom(conntrack.Snapshot{Entries: 12}, entries, shared); got != "" {
				t.Errorf("%d wanted, shared %t: got %q", entries, shared, got)
			}
		}
	}
	if got, want := describeUse(conntrack.Snapshot{Entries: 1}), "1 entry in use, no limit (nf_conntrack_max is 0)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := describeUse(conntrack.Snapshot{Entries: 12}), "12 entries in use, no limit (nf_conntrack_max is 0)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
