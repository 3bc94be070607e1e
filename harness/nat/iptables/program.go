// Package iptables runs the iptables program in each of its variants, nft and
// legacy. It reads rules as lines of text and changes one rule at a time.
//
// Everything happens in the network namespace of the calling thread.
package iptables

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-iptables/iptables"
	"github.com/google/nftables"
)

// lockWait bounds in seconds how long iptables waits for its lock.
const lockWait = 10

// Family is the family of the packets that rules are for. Each has a program of its own.
type Family int

// The families.
const (
	IPv4 Family = iota // iptables
	IPv6               // ip6tables
)

// FamilyOf returns the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is6() {
		return IPv6
	}
	return IPv4
}

// ProgramName returns the name of the program without its variant.
func (f Family) ProgramName() string { return [...]string{"iptables", "ip6tables"}[f] }

// TableFamily returns the family of the tables in which the variant nft has its rules.
func (f Family) TableFamily() nftables.TableFamily {
	return [...]nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6}[f]
}

// legacyTables returns the path of the list of tables of the legacy variant that exist in
// the calling thread's network namespace.
func (f Family) legacyTables() string {
	return "/proc/thread-self/net/" + [...]string{"ip_tables_names", "ip6_tables_names"}[f]
}

// candidates returns the names that the program can have, the explicit ones first.
func (f Family) candidates() []string {
	name := f.ProgramName()
	return []string{name + "-nft", name + "-legacy", name}
}

// Program is one variant of iptables, for packets of one family.
type Program struct {
	Path    string // of the program
	Variant string // "nft" or "legacy"
	Family  Family
	ipt     *iptables.IPTables
}

// FindInstalled returns the variants of a family whose tables can be listed without changing
// anything. Listing a table with iptables-legacy creates it, so that variant is
// returned only where its nat table exists.
func FindInstalled(f Family) ([]*Program, error) {
	var found []*Program
	var errs []error
	candidates := f.candidates()
	for _, name := range candidates {
		p, err := openProgram(name)
		switch {
		case err != nil:
			errs = append(errs, err)
		case p.LacksTable(NATTable):
		case slices.ContainsFunc(found, func(other *Program) bool { return other.Variant == p.Variant }):
		default:
			found = append(found, p)
		}
	}
	if len(found) == 0 && len(errs) == len(candidates) {
		return nil, f.noProgram(errs[len(errs)-1])
	}
	return found, nil
}

// OpenDefault returns the machine's default program of a family, whatever its variant. It
// is for a private network namespace, where it does no harm that the legacy variant
// creates the tables that it lists.
func OpenDefault(f Family) (*Program, error) {
	p, err := openProgram(f.ProgramName())
	if err == nil {
		return p, nil
	}
	for _, name := range f.candidates() {
		if p, err := openProgram(name); err == nil {
			return p, nil
		}
	}
	return nil, f.noProgram(err)
}

func (f Family) noProgram(err error) error {
	return fmt.Errorf("no %s program: %w (install the package iptables)", f.ProgramName(), err)
}

// OpenNamed returns the program that a step of the journal names. It accepts only
// the names that FindInstalled looks for, and no path.
func OpenNamed(name string) (*Program, error) {
	candidates := append(IPv4.candidates(), IPv6.candidates()...)
	if !slices.Contains(candidates, name) {
		return nil, fmt.Errorf("%s is not the name of an iptables program (%s)", strconv.Quote(name), strings.Join(candidates, ", "))
	}
	return openProgram(name)
}

// programFile identifies the file of a program. It is another one after an upgrade, or
// after the links to it were changed.
type programFile struct {
	name    string
	link    string // its path
	path    string // all links followed
	size    int64
	changed time.Time
}

// opened holds the programs that this process opened: opening one runs it, to ask for
// its version.
var opened sync.Map // of *Program by programFile

func openProgram(name string) (*Program, error) {
	file, err := findProgram(name)
	if err != nil {
		return nil, err
	}
	if p, ok := opened.Load(file); ok {
		return p.(*Program), nil
	}
	p, err := askProgram(name)
	if err == nil {
		opened.Store(file, p)
	}
	return p, err
}

func findProgram(name string) (programFile, error) {
	link, path, err := resolveProgram(name)
	if err != nil {
		return programFile{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return programFile{}, err
	}
	return programFile{name, link, path, info.Size(), info.ModTime()}, nil
}

// askProgram opens a program. It runs the program once.
func askProgram(name string) (*Program, error) {
	family, protocol := IPv4, iptables.ProtocolIPv4
	if strings.HasPrefix(filepath.Base(name), IPv6.ProgramName()) {
		family, protocol = IPv6, iptables.ProtocolIPv6
	}
	ipt, err := iptables.New(iptables.Path(name), iptables.IPFamily(protocol), iptables.Timeout(lockWait))
	if err != nil {
		return nil, err
	}
	return &Program{Path: name, Variant: findVariant(name, ipt), Family: family, ipt: ipt}, nil
}

// findVariant returns the variant by the name of the program behind the links,
// and if that name does not contain it, by the version: nft came with 1.8.
func findVariant(name string, ipt *iptables.IPTables) string {
	program := name
	if _, path, err := resolveProgram(name); err == nil {
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

// resolveProgram returns the path of a program, as found and with all links followed.
func resolveProgram(name string) (link, path string, err error) {
	if link, err = exec.LookPath(name); err != nil {
		return "", "", err
	}
	path, err = filepath.EvalSymlinks(link)
	return link, path, err
}

// HasLegacyTable reports whether the legacy variant of a family has a table, and does not
// create it.
func HasLegacyTable(f Family, table string) bool {
	names, err := os.ReadFile(f.legacyTables())
	return err == nil && slices.Contains(strings.Fields(string(names)), table)
}

// LacksTable reports whether listing the table would create it.
func (p *Program) LacksTable(table string) bool {
	return p.Variant == "legacy" && !HasLegacyTable(p.Family, table)
}

// Version returns the program's version with its variant: "1.8.9 (nft)".
func (p *Program) Version() string {
	a, b, c := p.ipt.GetIptablesVersion()
	return fmt.Sprintf("%d.%d.%d (%s)", a, b, c, p.Variant)
}

// Name returns "iptables 1.8.9 (nft)", or "ip6tables 1.8.9 (nft)".
func (p *Program) Name() string { return p.Family.ProgramName() + " " + p.Version() }

// HasRandomFully reports whether the program has the option --random-fully, which
// came with 1.6.2.
func (p *Program) HasRandomFully() bool { return p.ipt.HasRandomFully() }
