package nat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// listUserChain returns the lines of Docker's chain for rules of other programs.
func (t variant) listUserChain(test *testing.T) string {
	test.Helper()
	return netnstest.Run(test, t.Path+" -t filter -v -S DOCKER-USER 2>/dev/null")
}

// addUserChain makes that chain, with rules that resemble ours.
func addUserChain(t *testing.T, tables variant) {
	t.Helper()
	netnstest.Run(t, tables.Path+" -t filter -N DOCKER-USER")
	for i, rule := range []string{
		"-i snat-c -o snat-x -j ACCEPT", "-i snat-x -o snat-s -j ACCEPT", "-i snat-s -o snat-c -j ACCEPT", "-i snat-c -j ACCEPT",
		"-o snat-s -j ACCEPT", "-i snat-c -o snat-s -j DROP", "-i snat-c -o snat-s -p tcp -j ACCEPT", "-i snat-c+ -o snat-s+ -j ACCEPT",
		"-i snat-c -o snat-s -m comment --comment theirs -j ACCEPT", "! -i snat-c -o snat-s -j ACCEPT", "-j RETURN",
	} {
		netnstest.Run(t, fmt.Sprintf("%s -t filter -A DOCKER-USER -c %d %d %s", tables.Path, i+1, 60*(i+1), rule))
	}
}

func insertAccept(t *testing.T, tables variant, j *undo.Journal, in, out string) {
	t.Helper()
	if err := InsertAccept(t.Context(), j, tables.Program, in, out); err != nil {
		t.Fatal(err)
	}
}

// InsertAccept inserts its rule on top, and undoing it deletes that rule only.
func TestInsertAccept(t *testing.T) {
	eachProgram(t, func(t *testing.T, tables variant) {
		addUserChain(t, tables)
		before := tables.listUserChain(t)
		j, _ := nattest.NewJournal(t, Undoers())
		insertAccept(t, tables, j, "snat-c", "snat-s")
		chain, rest, _ := strings.Cut(before, "\n")
		want := chain + "\n-A DOCKER-USER -i snat-c -o snat-s -m comment --comment snatlab-run -c 0 0 -j ACCEPT\n" + rest
		if d := cmp.Diff(want, tables.listUserChain(t)); d != "" {
			t.Errorf("inserted (-want +got):\n%s", d)
		}
		netnstest.Run(t, tables.Path+" -t filter -I DOCKER-USER -p tcp -j DROP") // ours is not on top any more
		nattest.CloseJournal(t, j)
		nattest.CloseJournal(t, j)
		want = chain + "\n-A DOCKER-USER -p tcp -c 0 0 -j DROP\n" + rest
		if d := cmp.Diff(want, tables.listUserChain(t)); d != "" {
			t.Errorf("undone (-want +got):\n%s", d)
		}
	})
}

// Rules for both directions are inserted and undone.
func TestInsertAcceptBothWays(t *testing.T) {
	eachProgram(t, func(t *testing.T, tables variant) {
		netnstest.Run(t, tables.Path+" -t filter -N DOCKER-USER; "+tables.Path+" -t filter -A DOCKER-USER -j RETURN")
		before := tables.listUserChain(t)
		j, path := nattest.NewJournal(t, Undoers())
		insertAccept(t, tables, j, "snat-c", "snat-s")
		insertAccept(t, tables, j, "snat-s", "snat-c")
		p := tables.Path
		var steps []string
		for _, s := range j.Steps() {
			steps = append(steps, s.Kind, s.What, s.Manual)
		}
		want := []string{
			"nat.accept", "filter rule -A DOCKER-USER -i snat-s -o snat-c -j ACCEPT", p + " -t filter -D DOCKER-USER -i snat-s -o snat-c -m comment --comment snatlab-run -j ACCEPT",
			"nat.accept", "filter rule -A DOCKER-USER -i snat-c -o snat-s -j ACCEPT", p + " -t filter -D DOCKER-USER -i snat-c -o snat-s -m comment --comment snatlab-run -j ACCEPT",
		}
		if d := cmp.Diff(want, steps); d != "" {
			t.Errorf("steps (-want +got):\n%s", d)
		}
		replayCopy(t, path)
		replayCopy(t, path)
		if d := cmp.Diff(before, tables.listUserChain(t)); d != "" {
			t.Errorf("replayed (-want +got):\n%s", d)
		}
		nattest.CloseJournal(t, j)
	})
}

// The manual command of the step deletes the inserted rule.
func TestAcceptManualCommand(t *testing.T) {
	eachProgram(t, func(t *testing.T, tables variant) {
		addUserChain(t, tables)
		before := tables.listUserChain(t)
		j, _ := nattest.NewJournal(t, Undoers())
		insertAccept(t, tables, j, "snat-c", "snat-s")
		netnstest.Run(t, j.Steps()[0].Manual)
		if d := cmp.Diff(before, tables.listUserChain(t)); d != "" {
			t.Errorf("undone by hand (-want +got):\n%s", d)
		}
		nattest.CloseJournal(t, j)
		if d := cmp.Diff(before, tables.listUserChain(t)); d != "" {
			t.Errorf("undone again (-want +got):\n%s", d)
		}
	})
}

// A chain that is gone took the rule with it, so undoing needs no chain.
func TestUndoAcceptNoChain(t *testing.T) {
	eachProgram(t, func(t *testing.T, tables variant) {
		netnstest.Run(t, tables.Path+" -t filter -N DOCKER-USER")
		j, path := nattest.NewJournal(t, Undoers())
		insertAccept(t, tables, j, "snat-c", "snat-s")
		netnstest.Run(t, fmt.Sprintf("%[1]s -t filter -F DOCKER-USER && %[1]s -t filter -X DOCKER-USER", tables.Path))
		before := netnstest.Run(t, tables.Path+" -t filter -S")
		replayCopy(t, path)
		nattest.CloseJournal(t, j)
		if d := cmp.Diff(before, netnstest.Run(t, tables.Path+" -t filter -S")); d != "" {
			t.Errorf("changed:\n%s", d)
		}
	})
}

// Inserting into a missing chain is an error and leaves nothing.
func TestInsertAcceptNoChain(t *testing.T) {
	eachProgram(t, func(t *testing.T, tables variant) {
		before := netnstest.Run(t, tables.Path+" -t filter -S")
		j, _ := nattest.NewJournal(t, Undoers())
		err := InsertAccept(t.Context(), j, tables.Program, "snat-c", "snat-s")
		if err == nil || !strings.HasPrefix(err.Error(), "insert rule into DOCKER-USER: ") {
			t.Errorf("error %v", err)
		}
		nattest.CloseJournal(t, j)
		if d := cmp.Diff(before, netnstest.Run(t, tables.Path+" -t filter -S")); d != "" {
			t.Errorf("changed:\n%s", d)
		}
	})
}
