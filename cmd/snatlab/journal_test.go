package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"snatlab/harness/undo"
)

// run returns the path of /run in the engine's namespaces.
func (e *engine) run() string { return fmt.Sprintf("/proc/%d/root/run", e.first.Process.Pid) }

func (e *engine) journals() string { return filepath.Join(e.run(), "snatlab") }

// bootID returns the id of this boot. Journals of another boot are not undone.
func bootID(t *testing.T) string {
	t.Helper()
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	must(t, err)
	return strings.TrimSpace(string(id))
}

// open returns the steps of a journal that are not undone.
func open(t *testing.T, journal string) []undo.Step {
	t.Helper()
	type do struct {
		Number int
		Step   undo.Step
	}
	var all []do
	for line := range strings.Lines(journal) {
		var r struct {
			Do     *do
			Undone *int
		}
		must(t, json.Unmarshal([]byte(line), &r))
		if r.Do != nil {
			all = append(all, *r.Do)
		}
		if r.Undone != nil {
			all = slices.DeleteFunc(all, func(d do) bool { return d.Number == *r.Undone })
		}
	}
	var steps []undo.Step
	for _, d := range all {
		steps = append(steps, d.Step)
	}
	return steps
}

// make makes the change of a step, as a run would.
func (e *engine) make(t *testing.T, s undo.Step) {
	t.Helper()
	var a struct {
		Path, Chain, Rewritten    string
		Spec                      []string
		Name, Set                 string
		Interface, Address, Table string
	}
	must(t, json.Unmarshal(s.Args, &a))
	switch s.Kind {
	case "nat.accept":
		e.iptables(t, "-t filter -A "+a.Chain+" "+strings.Join(a.Spec, " "))
	case "nat.rewrite":
		e.iptables(t, "-t nat "+a.Rewritten)
	case "lab.sysctl":
		e.do(t, "sysctl", "-w", a.Name+"="+a.Set)
	case "lab.address":
		e.do(t, "sh", "-c", "ip link add "+a.Interface+" type bridge 2>/dev/null; ip address add "+a.Address+"/32 dev "+a.Interface)
	case "netns.name":
		e.do(t, "sh", "-c", "mkdir -p -m 0700 "+filepath.Dir(a.Path)+" && touch "+a.Path+" && mount --bind /proc/self/ns/net "+a.Path)
	case "docker.network", "docker.container", "nat.widen": // gone already
	default:
		t.Fatalf("a step of kind %s", s.Kind)
	}
}

// The journals in testdata were written by snatlab v0 before journals were
// checked: by killed runs, and by runs with kept labs.
func TestOldJournals(t *testing.T) {
	e := ownEngine(t)
	files, err := filepath.Glob("testdata/journals/*.journal")
	must(t, err)
	if len(files) != 5 {
		t.Fatalf("%d journals", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			e.unchanged(t)
			text, err := os.ReadFile(file)
			must(t, err)
			journal := strings.NewReplacer("BOOT", bootID(t), "HOST", e.DaemonHost()).Replace(string(text))
			steps := open(t, journal)
			for _, s := range steps {
				e.make(t, s)
			}
			must(t, os.WriteFile(filepath.Join(e.journals(), filepath.Base(file)), []byte(journal), 0o600))
			said := e.do(t, binary, "cleanup")
			if n := strings.Count(said, "undoing: "); n != len(steps) {
				t.Errorf("%d steps are undone, want %d:\n%s", n, len(steps), said)
			}
			e.do(t, "sh", "-c", "ip -o link | grep -o 'snat-[^:@]*' | xargs -r -n 1 ip link delete")
		})
	}
}

// forgedJournal returns a journal that would run a program of its author.
func forgedJournal(t *testing.T, program string) string {
	t.Helper()
	return `{"header":{"version":1,"run":"forged","pid":1,"boot":"` + bootID(t) + `","started":"2026-01-02T03:04:05Z"}}` + "\n" +
		`{"do":{"number":0,"step":{"kind":"nat.accept","what":"\u001b[2Jx","manual":"m","args":{"path":"` + program + `","chain":"DOCKER-USER","spec":["-j","ACCEPT"]}}}}` + "\n"
}

// ownJournal returns a valid journal of a run that has left nothing.
func ownJournal(t *testing.T) string {
	t.Helper()
	return `{"header":{"version":1,"run":"ours","pid":1,"boot":"` + bootID(t) + `","started":"2026-01-02T03:04:05Z"}}` + "\n" +
		`{"do":{"number":0,"step":{"kind":"lab.sysctl","what":"our sysctl","manual":"m","args":{"name":"net.ipv4.conf.gone.forwarding","before":"0","set":"1"}}}}` + "\n"
}

// A journal that another user may have written is neither executed nor printed
// raw, and does not stop the others from being undone.
func TestForgedJournals(t *testing.T) {
	e := ownEngine(t)
	program := filepath.Join(e.dir, "program")
	must(t, os.WriteFile(program, []byte("#!/bin/sh\ntouch "+program+"-ran\n"), 0o755))
	const refusal = "snatlab leaves no file like that"
	for _, c := range []struct {
		name   string
		forge  func(t *testing.T, folder, file string)
		want   string
		folder bool // the folder is refused, and nothing in it is read
	}{
		{"folder of another user", func(t *testing.T, folder, _ string) { must(t, os.Chown(folder, 1000, 1000)) },
			`"/run/snatlab" belongs to user 1000, and snatlab runs as user 0 (run snatlab as user 1000`, true},
		{"folder with mode 1777", func(t *testing.T, folder, _ string) { must(t, os.Chmod(folder, os.ModeSticky|0o777)) },
			`"/run/snatlab" can be written to by other users (mode 1777) (remove from it what you do not recognise, then: chmod 0700 /run/snatlab)`, true},
		{"folder behind a link", func(t *testing.T, folder, _ string) {
			must(t, os.Rename(folder, folder+"-real"))
			must(t, os.Symlink("snatlab-real", folder))
		}, `"/run/snatlab" is a symbolic link; journals must be in a folder`, true},
		{"journal of another user", func(t *testing.T, _, file string) { must(t, os.Chown(file, 1000, 1000)) }, "belongs to user 1000", false},
		{"journal that others can write", func(t *testing.T, _, file string) { must(t, os.Chmod(file, 0o666)) }, "can be written to by other users (mode 0666)", false},
		{"journal with two names", func(t *testing.T, _, file string) { must(t, os.Link(file, file+"-too")) }, "has 2 names (hard links)", false},
		{"journal behind a link", func(t *testing.T, _, file string) {
			must(t, os.Rename(file, file+"-real"))
			must(t, os.Symlink("forged.journal-real", file))
		}, "is a symbolic link", false},
		{"pipe", func(t *testing.T, _, file string) {
			must(t, os.Remove(file))
			must(t, unix.Mkfifo(file, 0o600))
		}, "is not a regular file", false},
		{"3 GiB", func(t *testing.T, _, file string) { must(t, os.Truncate(file, 3<<30)) }, "is larger than 1,024 MiB", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := filepath.Join(e.run(), "snatlab")
			file, ours := filepath.Join(folder, "forged.journal"), filepath.Join(folder, "ours.journal")
			must(t, os.RemoveAll(folder))
			must(t, os.Mkdir(folder, 0o700))
			must(t, os.WriteFile(file, []byte(forgedJournal(t, program)), 0o600))
			must(t, os.WriteFile(ours, []byte(ownJournal(t)), 0o600))
			c.forge(t, folder, file)
			for _, args := range [][]string{{"cleanup"}, {"cleanup", "--dry-run"}, {"run", "--driver=docker", scenarioFile(t, once)}} {
				p := e.start(t, args...)
				code := p.wait(t)
				said := p.said(t) + string(p.printed(t))
				if code != exitUnable || !strings.Contains(said, c.want) || strings.Contains(said, "\x1b") {
					t.Errorf("%v: exit code %d, says %q, want %q", args, code, said, c.want)
				}
				if !c.folder && !strings.Contains(said, refusal) {
					t.Errorf("%v: printed %q, without the remedy", args, said)
				}
				if strings.Contains(said, "making the networks") {
					t.Errorf("%v: the run went on\n%s", args, said)
				}
			}
			if _, err := os.Stat(program + "-ran"); err == nil {
				t.Fatal("the program of the forged journal was run")
			}
			if _, err := os.Lstat(ours); (err == nil) != c.folder {
				t.Errorf("the journal beside it: %v", err)
			}
			must(t, os.RemoveAll(folder+"-real"))
			must(t, os.RemoveAll(folder))
		})
	}
}
