package docker

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"snatlab/harness/scenario"
	"snatlab/harness/undo"
)

// realEngine checks at the end of each test that the machine is as it was.

// The journal of a process that died removes the lab.
func TestUndoByJournal(t *testing.T) {
	r := realEngine(t)
	b := r.open(2)
	if err := b.InsertControl(t.Context(), scenario.PortRange{First: 50000, Last: 60999}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Apply(t.Context(), scenario.Arm{Masquerade: scenario.MasqueradeOptions{RandomFully: true}}); err != nil {
		t.Fatal(err)
	}
	before := len(b.Journal.Steps())
	journal, err := undo.OpenJournal(b.path, undoers())
	if err != nil {
		t.Fatal(err)
	}
	if got := len(journal.Steps()); got != before || got != 2+2+3+1+1 { // networks, rules, containers, the control, the arm
		t.Errorf("the journal has %d steps, %d were made", got, before)
	}
	if err := journal.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The clean-up of the test closes the lab as well, and finds nothing to do.
	if left := b.containers(t); len(left) != 0 {
		t.Errorf("there are %v", left)
	}
	if _, err := os.Stat(b.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the journal is left: %v", err)
	}
}

// A lab without a journal is found by its label.
func TestListLeftovers(t *testing.T) {
	b := realEngine(t).open(1)
	if err := b.host.docker.ContainerKill(t.Context(), b.containerName("client-0"), "KILL"); err != nil { // a container that ended is found as well
		t.Fatal(err)
	}
	steps := listLeftoversOf(t, b)
	var found []string
	for _, s := range steps {
		found = append(found, s.What)
	}
	// Containers first: a network with a container on it cannot be removed.
	for i, want := range []string{"container ", "container ", "network ", "network "} {
		if i >= len(found) || !strings.HasPrefix(found[i], want) {
			t.Fatalf("found %q", found)
		}
	}
	// The rules between the bridges have no label: only the journal lists them.
	if err := undoers().UndoAll(t.Context(), steps); err != nil {
		t.Fatal(err)
	}
	if again := listLeftoversOf(t, b); len(again) != 0 {
		t.Errorf("left after that: %v", again)
	}
}

// listLeftoversOf returns the leftovers of a lab. This machine may have others.
func listLeftoversOf(t *testing.T, b *bench) []undo.Step {
	t.Helper()
	steps, err := ListLeftovers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(steps, func(s undo.Step) bool { return !strings.Contains(s.What, b.config.Run) })
}

// A probe ends with its input.
func TestProbeEndsWithInput(t *testing.T) {
	b := realEngine(t).open(1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := b.HangUp(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"client-0", "server"} {
		ended, failed := b.host.docker.ContainerWait(ctx, b.containerName(name), container.WaitConditionNotRunning)
		select {
		case how := <-ended:
			if how.StatusCode != 0 {
				t.Errorf("%s ended with exit code %d", name, how.StatusCode)
			}
		case err := <-failed:
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A second lab uses the image of the first.
func TestImageIsReused(t *testing.T) {
	r := realEngine(t)
	var ids []string
	for i := range 2 {
		b := r.open(1)
		image, err := r.docker.ImageInspect(t.Context(), b.image)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, image.ID)
		for name, c := range b.containers(t) {
			if c.Image != image.ID {
				t.Errorf("%s runs the image %s, not %s", name, c.Image, image.ID)
			}
		}
		if loaded := slices.Contains(b.said, "loading the probe image"); loaded && i > 0 {
			t.Error("it was loaded again")
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if ids[0] != ids[1] {
		t.Errorf("two images: %v", ids)
	}
}
