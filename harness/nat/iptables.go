package nat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-iptables/iptables"
	"github.com/google/shlex"
)

// lockWait bounds in seconds how long iptables waits for its lock.
const lockWait = 10

// legacyTables lists the tables of iptables-legacy that exist in the calling
// thread's network namespace.
const legacyTables = "/proc/thread-self/net/ip_tables_names"

// Tables is one variant of iptables.
type Tables struct {
	Path    string // of the program
	Variant string // "nft" or "legacy"
	ipt     *iptables.IPTables
}

// candidates are the programs that may be there, the explicit names first.
var candidates = []string{"iptables-nft", "iptables-legacy", "iptables"}

// Installed gives the variants of iptables whose tables can be looked at
// without changing anything. Listing a table with iptables-legacy creates it,
// so that variant is given only where its nat table exists.
func Installed() ([]*Tables, error) {
	var found []*Tables
	var errs []error
	for _, name := range candidates {
		t, err := open(name)
		switch {
		case err != nil:
			errs = append(errs, err)
		case t.Variant == "legacy" && !legacyTableExists("nat"):
		case slices.ContainsFunc(found, func(f *Tables) bool { return f.Variant == t.Variant }):
		default:
			found = append(found, t)
		}
	}
	if len(found) == 0 && len(errs) == len(candidates) {
		return nil, noIptables(errs[len(errs)-1])
	}
	return found, nil
}

// Program gives the machine's own iptables, in whatever variant: for a private
// network namespace, where nobody minds that the legacy one makes a table in
// order to look at it.
func Program() (*Tables, error) {
	t, err := open("iptables")
	if err == nil {
		return t, nil
	}
	for _, name := range candidates {
		if t, err := open(name); err == nil {
			return t, nil
		}
	}
	return nil, noIptables(err)
}

func noIptables(err error) error {
	return fmt.Errorf("no iptables program: %w (install the package iptables)", err)
}

func open(name string) (*Tables, error) {
	ipt, err := iptables.New(iptables.Path(name), iptables.Timeout(lockWait))
	if err != nil {
		return nil, err
	}
	return &Tables{Path: name, Variant: variant(name, ipt), ipt: ipt}, nil
}

// variant tells nft from legacy by the program that the name stands for, and
// for one that does not say, by its version: nft came with 1.8.
func variant(name string, ipt *iptables.IPTables) string {
	program := name
	if path, err := lookPath(name); err == nil {
		program = filepath.Base(path)
	}
	switch {
	case strings.Contains(program, "nft"):
		return "nft"
	case strings.Contains(program, "legacy"):
		return "legacy"
	}
	if major, minor, _ := ipt.GetIptablesVersion(); major > 1 || minor >= 8 {
		return "nft"
	}
	return "legacy"
}

// lookPath resolves a program's name and what it links to.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

func legacyTableExists(table string) bool {
	names, err := os.ReadFile(legacyTables)
	return err == nil && slices.Contains(strings.Fields(string(names)), table)
}

// Version is that of the program with its variant: "1.8.9 (nft)".
func (t *Tables) Version() string {
	a, b, c := t.ipt.GetIptablesVersion()
	return fmt.Sprintf("%d.%d.%d (%s)", a, b, c, t.Variant)
}

// HasRandomFully tells whether the program knows --random-fully (1.6.2).
func (t *Tables) HasRandomFully() bool { return t.ipt.HasRandomFully() }

// list gives the rules of a chain in order; the rule at index i has position
// i + 1.
func (t *Tables) list(ctx context.Context, table, chain string) ([]rule, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	lines, err := t.ipt.ListWithCounters(table, chain)
	if err != nil {
		return nil, fmt.Errorf("list %s of table %s with %s: %w", chain, table, t.Path, trimmed{err})
	}
	var rules []rule
	for _, line := range lines {
		if !strings.HasPrefix(line, "-A ") {
			continue // -P and -N say that the chain exists
		}
		r, err := parseRule(line)
		if err != nil {
			return nil, fmt.Errorf("read rule %q: %w", line, err)
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// counted is a line of `iptables -v -S`. The counters stand before the target
// or, in output that go-iptables has rearranged, last; what looks like them
// further ahead belongs to a comment.
var counted = regexp.MustCompile(`^(.*) -c (\d+) \d+( -[jg] .*)?$`)

// parseRule takes a line of `iptables -v -S` apart.
func parseRule(line string) (rule, error) {
	var r rule
	if parts := counted.FindStringSubmatch(line); parts != nil {
		var err error
		if r.packets, err = strconv.ParseUint(parts[2], 10, 64); err != nil {
			return rule{}, fmt.Errorf("packet counter: %w", err)
		}
		line = parts[1] + parts[3]
	}
	if _, err := specOf(line); err != nil {
		return rule{}, err
	}
	r.text, r.mark = splitMark(line)
	return r, nil
}

// specOf gives the words of a rule that follow "-A CHAIN", as iptables takes
// them.
func specOf(text string) ([]string, error) {
	words, err := shlex.Split(text)
	if err != nil {
		return nil, err
	}
	if len(words) < 2 || words[0] != "-A" {
		return nil, errors.New("not a rule")
	}
	return words[2:], nil
}
