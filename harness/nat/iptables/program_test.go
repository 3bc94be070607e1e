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

func listVariants(t *testing.T) (all []*Program, names string) {
	t.Helper()
	all, err := FindInstalled(IPv4)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		names += v.Variant + " "
	}
	return all, names
}

// Looking for iptables changes nothing.
func TestFindInstalledOnly(t *testing.T) {
	nattest.EnterNamespace(t)
	all, names := listVariants(t)
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
}

// FindInstalled returns the legacy variant only where its nat table exists.
func TestFindInstalledLegacy(t *testing.T) {
	nattest.EnterNamespace(t)
	legacy, err := openProgram("iptables-legacy")
	if err != nil {
		netnstest.SkipWithout(t, err.Error())
	}
	netnstest.Run(t, legacy.Path+" -t filter -S || :") // a table, but not that one
	if _, names := listVariants(t); names != "nft " {
		t.Errorf("variants %s, want nft", names)
	}
	nattest.RequireVariant(t, "legacy")
	_, names := listVariants(t)
	if names != "nft legacy " {
		t.Fatalf("variants %s, want nft and legacy", names)
	}
}

// Docker has its rules in a variant if both its chains exist there.
func TestDockerChains(t *testing.T) {
	nattest.EachVariant(t, func(t *testing.T, variant string) {
		tables := openVariant(t, variant)
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

// Looking for Docker's chains makes no legacy table.
func TestDockerChainsNoTable(t *testing.T) {
	nattest.EnterNamespace(t)
	nattest.RequireVariant(t, "legacy")
	tables := openVariant(t, "legacy")
	netnstest.Run(t, tables.Path+" -t nat -N DOCKER")
	if found, _, err := tables.DockerChains(""); len(found) != 1 || err != nil {
		t.Errorf("%v, %v", found, err)
	}
	if names := strings.Fields(netnstest.Run(t, "cat /proc/thread-self/net/ip_tables_names")); len(names) != 1 {
		t.Errorf("tables %q, want nat alone", names)
	}
}

// The error on a machine without iptables says so.
func TestFindInstalledNone(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := FindInstalled(IPv4)
	const text = `no iptables program: exec: "iptables": executable file not found in $PATH (install the package iptables)`
	if err == nil || err.Error() != text {
		t.Errorf("error %v\nwant  %s", err, text)
	}
}

// The variant is that of the program to which the name links.
func TestFindVariant(t *testing.T) {
	for _, c := range []struct{ name, target, version, want string }{
		{"iptables", "xtables-nft-multi", "iptables v1.8.9 (nf_tables)", "1.8.9 (nft)"},
		{"iptables", "xtables-legacy-multi", "iptables v1.8.9 (legacy)", "1.8.9 (legacy)"},
		{"iptables", "iptables-nft", "iptables v1.8.2 (nf_tables)", "1.8.2 (nft)"},
		{"iptables-nft", "xtables-nft-multi", "iptables v1.8.11 (nf_tables)", "1.8.11 (nft)"},
		{"iptables-legacy", "xtables-legacy-multi", "iptables v1.8.11 (legacy)", "1.8.11 (legacy)"},
		{"iptables", "xtables-multi", "iptables v1.6.1", "1.6.1 (legacy)"},
		{"iptables", "iptables", "iptables v1.4.21", "1.4.21 (legacy)"},
		{"iptables", "iptables", "iptables v1.8.7 (nf_tables)", "1.8.7 (nft)"},
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
			if got := tables.Version(); got != c.want {
				t.Errorf("version %s, want %s", got, c.want)
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

// The installed programs are of the variants that their names contain.
func TestInstalledVariants(t *testing.T) {
	nattest.EachVariant(t, func(t *testing.T, variant string) {
		tables := openVariant(t, variant)
		printed := netnstest.Run(t, tables.Path+" --version")
		word := map[string]string{"nft": "(nf_tables)", "legacy": "(legacy)"}[tables.Variant]
		if !strings.Contains(printed, word) || !strings.HasSuffix(tables.Version(), " ("+tables.Variant+")") {
			t.Errorf("%s prints %q, and is taken for %s", tables.Path, printed, tables.Version())
		}
	})
}

// OpenDefault returns the machine's default iptables.
func TestOpenDefault(t *testing.T) {
	for _, c := range []struct{ installed, path, version string }{
		{"iptables iptables-nft iptables-legacy", "iptables", "1.8.9 (nft)"},
		{"iptables-nft iptables-legacy", "iptables-nft", "1.8.9 (nft)"},
		{"iptables-legacy", "iptables-legacy", "1.8.9 (legacy)"},
	} {
		dir := t.TempDir()
		for _, name := range strings.Fields(c.installed) {
			writeScript(t, filepath.Join(dir, name), "iptables v1.8.9 (nf_tables)")
		}
		t.Setenv("PATH", dir)
		if p, err := OpenDefault(IPv4); err != nil || p.Path != c.path || p.Version() != c.version {
			t.Errorf("of %s: %v (%v), want %s", c.installed, p, err, c.path)
		}
	}
	t.Setenv("PATH", t.TempDir())
	_, err := OpenDefault(IPv4)
	const text = `no iptables program: exec: "iptables": executable file not found in $PATH (install the package iptables)`
	if err == nil || err.Error() != text {
		t.Errorf("error %v\nwant  %s", err, text)
	}
}
