package harness_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// layers lists every package, from the bottom to the top. A package imports only
// packages of lower layers. Names are relative to harness/; that of package
// harness itself is ".".
var layers = [][]string{
	{"format", "kernel", "lab/kubernetes/api", "nat/iptables", "nat/snat", "nat/transaction", "place", "printable", "probe/query", "result", "result/watched", "stats"},
	{"conntrack", "kernel/vm", "nat/compat", "report/layout", "result/resultfile", "scenario/strictyaml", "undo", "wording"},
	{"nat/nftables", "report/export", "report/live", "report/markdown", "report/progress", "scenario/changes", "scenario/limits", "scenario/network", "scenario/percent", "scenario/sysctl", "verdict", "wording/calibrated"},
	{"nat/idle", "scenario"},
	{"history/store", "machine", "nat", "nat/service", "pace", "probe", "report", "report/calibration", "report/trend"},
	{"causes", "departures", "lab/docker/claims", "lab/docker/halfmade", "lab/docker/podman", "lab/docker/presence", "lab/filter", "lab/untracked", "nat/effect", "probe/load/lockstep", "probe/load/transport"},
	{"history/regression", "kernel/matrix", "lab", "lab/docker/firewall", "probe/load", "probe/server", "report/page", "watch"},
	{".", "fleet", "history/nightly", "lab/docker", "lab/netns", "probe/agent"},
	{"lab/router"},
	{"lab/kubernetes"},
}

// narrow lists packages that see even less of ours than their layer allows.
var narrow = map[string][]string{
	"kernel/vm":          {"format", "kernel"}, // returns bytes: it knows no result
	"report/calibration": {"format", "report/layout", "result", "wording/calibrated"},
	"report/export":      {"format", "printable", "result", "wording"},
	"report/page":        {"format", "printable", "report", "result", "wording", "wording/calibrated"},
	"report/layout":      {"format", "printable"},
	"report/live":        {"format", "printable", "result/watched"},
	"report/markdown":    {"printable", "report/layout"},
	"report/progress":    {"format", "report/layout", "result"},
	"report/trend":       {"format", "report/layout", "report/markdown", "result", "wording"},
	"report":             {"format", "printable", "report/layout", "report/markdown", "result", "wording"}, // reports say nothing that a result does not hold
	"result/resultfile":  {"format", "place", "printable", "result", "stats"},                              // reads files of strangers
	"verdict":            {"format", "result", "stats"},                                                    // from trials to comparisons, and nothing else
	"wording/calibrated": {"format", "result", "wording"},
	"wording":            {"format", "result"}, // sentences are made of values
}

// maxLines bounds the code of a package without its tests. A larger one holds more
// than one thing.
const maxLines = 2000

// goPackage is what `go list -json` prints of a package.
type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

func listPackages(t *testing.T) (packages []goPackage) {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "snatlab/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// harnessName returns the name of a package as it stands in layers; ok is false
// for a package that is not under harness/.
func harnessName(path string) (name string, ok bool) {
	if path == "snatlab/harness" {
		return ".", true
	}
	return strings.CutPrefix(path, "snatlab/harness/")
}

// layerOf returns the index of a package's layer; -1 if it has none.
func layerOf(name string) int {
	return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, name) })
}

// isTestPackage reports whether a package is for tests alone: labtest, nattest.
func isTestPackage(name string) bool { return strings.HasSuffix(name, "test") }

func TestLayers(t *testing.T) {
	for _, p := range listPackages(t) {
		name, ok := harnessName(p.ImportPath)
		if !ok || isTestPackage(name) {
			continue
		}
		layer := layerOf(name)
		if layer < 0 {
			t.Errorf("package %s has no layer; add it to layers in this test, and to docs/architecture.md", name)
			continue
		}
		for _, path := range p.Imports {
			imported, ok := harnessName(path)
			switch {
			case !ok:
			case isTestPackage(imported):
				t.Errorf("%s imports %s, which is for tests alone", name, imported)
			case layerOf(imported) >= layer:
				t.Errorf("%s imports %s, which is not below it", name, imported)
			case narrow[name] != nil && !slices.Contains(narrow[name], imported):
				t.Errorf("%s imports %s; allowed: %s", name, imported, strings.Join(narrow[name], ", "))
			case strings.HasPrefix(imported, "report") && !strings.HasPrefix(name, "report"):
				t.Errorf("%s imports %s; only cmd/snatlab does", name, imported)
			}
		}
	}
}

// Only the driver knows a cluster's API: its client is larger than all the rest.
func TestKubernetesImports(t *testing.T) {
	for _, p := range listPackages(t) {
		name, _ := harnessName(p.ImportPath)
		for _, path := range p.Imports {
			if strings.HasPrefix(path, "k8s.io/") && name != "lab/kubernetes" && name != "lab/kubernetes/api" {
				t.Errorf("%s imports %s; only lab/kubernetes and lab/kubernetes/api do", p.ImportPath, path)
			}
		}
	}
}

func TestPackageSizes(t *testing.T) {
	for _, p := range listPackages(t) {
		name, ok := harnessName(p.ImportPath)
		if !ok {
			continue
		}
		lines := 0
		for _, file := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			lines += bytes.Count(text, []byte("\n"))
		}
		if lines > maxLines {
			t.Errorf("package %s has %d lines without its tests; allowed: %d", name, lines, maxLines)
		}
	}
}

// The map has a paragraph for each package.
func TestArchitecture(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Concat(layers...) {
		if name != "." && !bytes.Contains(text, []byte("`"+name+"`")) {
			t.Errorf("docs/architecture.md does not name package %s", name)
		}
	}
}
