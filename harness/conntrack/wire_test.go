package conntrack

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ti-mo/conntrack"
)

// A snapshot that went over the wire is the same one.
func TestSnapshotJSON(t *testing.T) {
	t.Parallel()
	want := Snapshot{Entries: 7, Max: 1 << 18, CPUs: []CPUCounters{
		{id: 0, stats: conntrack.Stats{CPUID: 0, InsertFailed: 3, Drop: 1<<32 - 1}, clashResolve: new(uint32(4)), chainTooLong: new(uint32(0))},
		{id: 2, stats: conntrack.Stats{CPUID: 2, Found: 9, SearchRestart: 8}},
	}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Snapshot
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(CPUCounters{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
