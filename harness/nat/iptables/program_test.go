package iptables

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/netnstest"
)

// eachFamily runs a test with each family.
func eachFamily(t *testing.T, test func(t *testing.T, f Family)) {
	t.Helper()
	for _, f := range []Family{IPv4, IPv6} {
		t.Run(f.ProgramName(), func(t *testing.T) { test(t, f) })
	}
}

// other returns the other family.
func (f Family) other() Family { return IPv4 + IPv6 - f }

func listVariants(t *testing.T, f Family) (all []*Program, names string) {
	t.Helper()
	all, err := FindInstalled(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Family != f {
			t.Errorf("%s is of the other family", v.Path)
		}
		names += v.Variant + " "
	}
	return all, names
}

// Looking for iptables changes nothing.
func TestFindInstalledOnly(t *testing.T) {
	eachFamily(t, func(t *testing.T, f Family) {
		nattest.EnterNamespace(t)
		all, names := listVariants(t, f)
		if names != "nft " {
			t.Errorf("variants %s, want nft: the legacy one has no tables here", names)
		}
		for _, v := range all {
			if found, _, err := v.DockerChains(""); found != nil || err != nil {
				t.Errorf("%s: chains of Docker %v, %v", v.Variant, found, err)
			}
			if _, err := v.ListRules(t.Context(), NATTable, Postrouting); err != nil {
				t.Error(err)
			}
		}
		nattest.CheckNoTables(t)
	})
}

// FindInstalled returns the legacy variant only where the nat table of its family exists.
func TestFindInstalledLegacy(t *testing.T) {
	eachFamily(t, func(t *testing.T, f Family) {
		nattest.EnterNamespace(t)
		legacy := f.ProgramName() + "-legacy"
		if _, err := openProgram(legacy); err != nil {
			netnstest.SkipWithout(t, err.Error())
		}
		netnstest.Run(t, legacy+" -t filter -S || :") // a table, but not that one
		netnstest.Run(t, f.other().ProgramName()+"-legacy -t nat -S || :")
		if all, names := listVariants(t, f); names != "nft " || HasLegacyTable(f, NATTable) || HasUnseenLegacy(f, all) {
			t.Errorf("variants %s, want nft", names)
		}
		nattest.RequireProgram(t, legacy)
		all, names := listVariants(t, f)
		if names != "nft legacy " || !HasLegacyTable(f, NATTable) || HasUnseenLegacy(f, all) || !HasUnseenLegacy(f, all[:1]) {
			t.Fatalf("variants %s, want nft and legacy", names)
		}
	})
}

// Docker has its rules in a variant if both its chains exist there.
func TestDockerChains(t *testing.T) {
	nattest.EachProgram(t, func(t *testing.T, program string) {
		tables := openNamed(t, program)
		has := func(want bool, when string) {
			t.Helper()
			if _, missing, err := tables.DockerChains(""); (missing == nil) != want || err != nil {
				t.Errorf("%s: missing %v (%v), want %v", when, missing, err, want)
			}
		}
		has(false, "no chain")
		netnstest.Run(t, tables.Path+" -t nat -N DOCKER")
		has(false, "only that in nat")
		netnstest.Run(t, tables.Path+" -t filter -N DOCKER")
		has(false, "another in filter")
		netnstest.Run(t, tables.Path+" -t filter -N DOCKER-USER")
		has(true, "both")
		netnstest.Run(t, tables.Path+" -t nat -X DOCKER")
		has(false, "only that in filter")
	})
}

// A chain that the variant nft cannot list is not taken for a missing one.
func TestHasChainIncompatible(t *testing.T) {
	eachFamily(t, func(t *testing.T, f Family) {
		nattest.EnterNamespace(t)
		nattest.RequireNFT(t)
		tables := openNamed(t, f.ProgramName()+"-nft")
		netnstest.Run(t, tables.Path+" -t nat -N DOCKER")
		table := [...]string{IPv4: "ip", IPv6: "ip6"}[f] + " nat"
		netnstest.Run(t, "nft add rule "+table+" DOCKER masquerade random,persistent")
		want := fmt.Sprintf("list DOCKER of table nat with %s: it is incompatible: it holds a rule that iptables cannot express", tables.Path)
		if _, err := tables.HasChain(NATTable, "DOCKER"); err == nil || err.Error() != want || !IsIncompatible(err) {
			t.Errorf("error %v\nwant  %s", err, want)
		}
		netnstest.Run(t, "nft delete chain "+table+" DOCKER")
		if exists, err := tables.HasChain(NATTable, "DOCKER"); exists || err != nil {
			t.Errorf("%v, %v", exists, err)
		}
	})
}

// Looking for Docker's chains makes no legacy table.
func TestDockerChainsNoTable(t *testing.T) {
	eachFamily(t, func(t *testing.T, f Family) {
		nattest.EnterNamespace(t)
		nattest.RequireProgram(t, f.ProgramName()+"-legacy")
		tables := openNamed(t, f.ProgramName()+"-legacy")
		netnstest.Run(t, tables.Path+" -t nat -N DOCKER")
		if found, _, err := tables.DockerChains(""); len(found) != 1 || err != nil {
			t.Errorf("%v, %v", found, err)
		}
		if names := strings.Fields(netnstest.Run(t, "cat "+f.legacyTables())); len(names) != 1 {
			t.Errorf("tables %q, want nat alone", names)
		}
	})
}

// The error on a machine without iptables says so.
func TestFindInstalledNone(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for f, text := range map[Family]string{
		IPv4: `no iptables program: exec: "iptables": executable file not found in $PATH (install the package iptables)`,
		IPv6: `no ip6tables program: exec: "ip6tables": executable file not found in $PATH (install the package iptables)`,
	} {
		if _, err := FindInstalled(f); err == nil || err.Error() != text {
			t.Errorf("error %v\nwant  %s", err, text)
		}
		if _, err := OpenDefault(f); err == nil || err.Error() != text {
			t.Errorf("default: error %v\nwant  %s", err, text)
		}
	}
}

// The variant is that of the program to which the name links.
func TestFindVariant(t *testing.T) {
	for _, c := range []struct{ name, target, version, want string }{
		{"iptables", "xtables-nft-multi", "iptables v1.8.9 (nf_tables)", "iptables 1.8.9 (nft)"},
		{"iptables", "xtables-legacy-multi", "iptables v1.8.9 (legacy)", "iptables 1.8.9 (legacy)"},
		{"iptables", "iptables-nft", "iptables v1.8.2 (nf_tables)", "iptables 1.8.2 (nft)"},
		{"iptables-nft", "xtables-nft-multi", "iptables v1.8.11 (nf_tables)", "iptables 1.8.11 (nft)"},
		{"iptables-legacy", "xtables-legacy-multi", "iptables v1.8.11 (legacy)", "iptables 1.8.11 (legacy)"},
		{"iptables", "xtables-multi", "iptables v1.6.1", "iptables 1.6.1 (legacy)"},
		{"iptables", "iptables", "iptables v1.4.21", "iptables 1.4.21 (legacy)"},
		{"iptables", "iptables", "iptables v1.8.7 (nf_tables)", "iptables 1.8.7 (nft)"},
		{"ip6tables", "xtables-nft-multi", "ip6tables v1.8.9 (nf_tables)", "ip6tables 1.8.9 (nft)"},
		{"ip6tables", "xtables-legacy-multi", "ip6tables v1.8.9 (legacy)", "ip6tables 1.8.9 (legacy)"},
		{"ip6tables-nft", "xtables-nft-multi", "ip6tables v1.8.11 (nf_tables)", "ip6tables 1.8.11 (nft)"},
		{"ip6tables-legacy", "xtables-legacy-multi", "ip6tables v1.8.11 (legacy)", "ip6tables 1.8.11 (legacy)"},
		{"ip6tables", "ip6tables", "ip6tables v1.4.21", "ip6tables 1.4.21 (legacy)"},
	} {
		t.Run(c.name+" is "+c.target+", "+c.version, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			writeScript(t, filepath.Join(elsewhere, c.target), c.version)
			alternative := filepath.Join(elsewhere, "alternative") // as in /etc/alternatives
			err := errors.Join(os.Symlink(c.target, alternative), os.Symlink(alternative, filepath.Join(dir, c.name)))
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			tables, err := openProgram(c.name)
			if err != nil {
				t.Fatal(err)
			}
			if got := tables.Name(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// Version 1.6.2 introduced --random-fully.
func TestHasRandomFully(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{"1.4.21": false, "1.6.1": false, "1.6.2": true, "1.8.9": true} {
		path := filepath.Join(t.TempDir(), "iptables")
		writeScript(t, path, "iptables v"+version)
		tables, err := openProgram(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := tables.HasRandomFully(); got != want {
			t.Errorf("iptables %s: %v, want %v", version, got, want)
		}
	}
}

// writeScript writes a program that only prints its version.
func writeScript(t *testing.T, path, version string) {
	t.Helper()
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\n[ \"$1\" = --version ] && echo '%s'\n", version), 0o700); err != nil {
		t.Fatal(err)
	}
}

// The installed programs are of the variants and families that their names contain.
func TestInstalledVariants(t *testing.T) {
	nattest.EachProgram(t, func(t *testing.T, program string) {
		tables := openNamed(t, program)
		printed := netnstest.Run(t, tables.Path+" --version")
		word := map[string]string{"nft": "(nf_tables)", "legacy": "(legacy)"}[tables.Variant]
		name := tables.Family.ProgramName()
		if !strings.HasPrefix(printed, name+" v") || !strings.Contains(printed, word) || !strings.HasPrefix(tables.Name(), name+" ") || !strings.HasSuffix(tables.Name(), " ("+tables.Variant+")") {
			t.Errorf("%s prints %q, and is taken for %s", tables.Path, printed, tables.Name())
		}
	})
}

// OpenDefault returns the machine's default program of a family.
func TestOpenDefault(t *testing.T) {
	for _, c := range []struct {
		of                       Family
		installed, path, program string
	}{
		{IPv4, "iptables iptables-nft iptables-legacy ip6tables", "iptables", "iptables 1.8.9 (nft)"},
		{IPv4, "iptables-nft iptables-legacy ip6tables", "iptables-nft", "iptables 1.8.9 (nft)"},
		{IPv4, "iptables-legacy ip6tables", "iptables-legacy", "iptables 1.8.9 (legacy)"},
		{IPv6, "ip6tables ip6tables-nft ip6tables-legacy iptables", "ip6tables", "ip6tables 1.8.9 (nft)"},
		{IPv6, "ip6tables-nft ip6tables-legacy iptables", "ip6tables-nft", "ip6tables 1.8.9 (nft)"},
		{IPv6, "ip6tables-legacy iptables", "ip6tables-legacy", "ip6tables 1.8.9 (legacy)"},
	} {
		dir := t.TempDir()
		for _, name := range strings.Fields(c.installed) {
			writeScript(t, filepath.Join(dir, name), strings.Split(name, "-")[0]+" v1.8.9 (nf_tables)")
		}
		t.Setenv("PATH", dir)
		if p, err := OpenDefault(c.of); err != nil || p.Path != c.path || p.Name() != c.program {
			t.Errorf("of %s: %v (%v), want %s", c.installed, p, err, c.path)
		}
	}
}
