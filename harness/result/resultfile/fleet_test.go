package resultfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/result"
)

// A fleet is read as it was written; a file that is none is refused with the reason.
func TestReadFleet(t *testing.T) {
	t.Parallel()
	run, err := ReadResult("../../report/testdata/docker.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(f *result.Fleet) {
		t.Helper()
		file, err := os.Create(filepath.Join(dir, FleetName))
		if err == nil {
			err = WriteJSON(file, f)
		}
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	write(&result.Fleet{Schema: result.FleetSchema, Nodes: []result.FleetNode{
		{Node: "n1", Status: result.RowOK, Result: run}, {Node: "n2", Status: result.RowError, Reason: "evicted"},
	}})
	f, err := ReadFleet(dir)
	if err != nil || len(f.Nodes) != 2 || f.Nodes[0].Result.ID != run.ID || f.Nodes[1].Reason != "evicted" {
		t.Errorf("%+v, %v", f, err)
	}
	write(&result.Fleet{Schema: "snatlab.fleet/v2"})
	if _, err := ReadFleet(dir); err == nil || !strings.Contains(err.Error(), `its schema is "snatlab.fleet/v2", not snatlab.fleet/v1`) {
		t.Errorf("error %v", err)
	}
	broken := *run
	broken.Arms = append([]result.Arm{}, run.Arms...)
	broken.Arms[0].Name = strings.Repeat("x", maxName+1)
	write(&result.Fleet{Schema: result.FleetSchema, Nodes: []result.FleetNode{{Node: "n1", Status: result.RowOK, Result: &broken}}})
	if _, err := ReadFleet(dir); err == nil || !strings.Contains(err.Error(), `node "n1"`) {
		t.Errorf("error %v", err)
	}
}
