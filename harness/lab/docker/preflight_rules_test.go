package docker

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/system"

	"snatlab/harness/lab/docker/firewall"
	"snatlab/harness/machine"
	"snatlab/harness/nat/iptables"
	"snatlab/harness/netnstest"
	"snatlab/harness/result"
)

const dockersChains = "iptables-nft -t nat -N DOCKER; iptables-nft -N DOCKER-USER; "

// The precondition names what is wrong with Docker's rules.
func TestCheckRules(t *testing.T) {
	const (
		question = "restart the Docker daemon, which makes its rules again; it does not if it is started with --iptables=false, and then no run is possible"
		isNative = "the nft program has written a rule there that iptables cannot show: see `nft list table ip nat` and `nft list table ip filter`, and move it to a table of its own"
	)
	for _, c := range []struct {
		name, script, version string
		state                 machine.State
		found, remedy         string // found: a part
	}{
		{"Docker's_chains", dockersChains, "", machine.Met, " (nft), --random-fully", ""},
		{"no_chains", ":", "", machine.Unmet, "Docker has no rules in ", question},
		{"one_chain_is_gone", "iptables-nft -t nat -N DOCKER", "", machine.Unmet,
			" has Docker's chain DOCKER of table nat, but not DOCKER-USER of table filter", "something deleted it; restart the Docker daemon, which makes it again"},
		{"a_chain_of_20.10_is_gone", dockersChains + "iptables-nft -N DOCKER; iptables-nft -N DOCKER-ISOLATION-STAGE-2", "20.10.24", machine.Unmet,
			" has Docker's chain DOCKER of table nat, but not DOCKER-ISOLATION-STAGE-1 of table filter", "something deleted it; restart the Docker daemon, which makes it again"},
		{"a_chain_of_28.5_is_gone", dockersChains + "iptables-nft -N DOCKER; iptables-nft -N DOCKER-BRIDGE; iptables-nft -N DOCKER-CT", "28.5.2", machine.Unmet,
			" has Docker's chain DOCKER of table nat, but not DOCKER-FORWARD of table filter", "something deleted it; restart the Docker daemon, which makes it again"},
		{"the_chains_of_28.5", dockersChains + "for c in '' -BRIDGE -CT -FORWARD; do iptables-nft -N DOCKER$c; done", "28.5.2", machine.Met, " (nft), --random-fully", ""},
		{"POSTROUTING_has_a_rule_of_nft", dockersChains + "iptables-nft -t nat -A POSTROUTING -j RETURN; nft add rule ip nat POSTROUTING ip saddr 10.8.0.0/24 oifname out0 masquerade random,persistent", "", machine.Unmet,
			"list POSTROUTING of table nat with iptables-nft: ", isNative},
		{"DOCKER-USER_has_a_rule_of_nft", dockersChains + "nft add rule ip filter DOCKER-USER ct mark set numgen inc mod 2", "", machine.Unmet,
			"list DOCKER-USER of table filter with iptables-nft: ", isNative},
	} {
		t.Run(c.name, func(t *testing.T) {
			netnstest.Enter(t)
			netnstest.Run(t, "set -e; "+c.script)
			h := &Host{info: system.Info{ServerVersion: c.version, FirewallBackend: &system.FirewallInfo{Driver: "iptables"}}}
			p := h.checkRules(t.Context())
			if p.Name != firewall.IPTables || p.State != c.state || !strings.Contains(p.Found, c.found) || p.Remedy != c.remedy {
				t.Errorf("found %+v\n want %+v", p, c)
			}
		})
	}
}

// The precondition of a lab of IPv6 is about the rules of ip6tables.
func TestCheckRulesIPv6(t *testing.T) {
	for _, c := range []struct {
		script, version string
		state           machine.State
		found, remedy   string // found: a part
	}{
		{dockersChains, "28.5.2", machine.Unmet, "Docker has no rules for IPv6", `set "ip6tables": true for the daemon, with "experimental": true before Docker 27, and restart it`},
		{"ip6tables-nft -t nat -N DOCKER", "20.10.24", machine.Unmet, " (nft) has Docker's chain DOCKER of table nat, but not DOCKER-USER of table filter", "Docker 20.10 has no such chain for IPv6: install Docker 26 or later, or use driver netns"},
		{"ip6tables-nft -t nat -N DOCKER", "28.5.2", machine.Unmet, " (nft) has Docker's chain DOCKER of table nat, but not DOCKER-USER of table filter", "something deleted it; restart the Docker daemon, which makes it again"},
		{"ip6tables-nft -t nat -N DOCKER; for c in '' -USER -BRIDGE -CT -FORWARD; do ip6tables-nft -N DOCKER$c; done", "28.5.2", machine.Met, " (nft), --random-fully", ""},
	} {
		t.Run(c.version+", "+c.found, func(t *testing.T) {
			netnstest.Enter(t)
			netnstest.Run(t, "set -e; "+c.script)
			h := &Host{family: result.IPv6, info: system.Info{ServerVersion: c.version}}
			p := h.checkRules(t.Context())
			if p.Name != "ip6tables" || p.State != c.state || !strings.Contains(p.Found, c.found) || p.Remedy != c.remedy {
				t.Errorf("found %+v\n want %+v", p, c)
			}
		})
	}
}

// A legacy table that no program can list is named.
func TestCheckRulesLegacyTable(t *testing.T) {
	netnstest.Enter(t)
	if exec.Command("iptables-legacy", "-t", "nat", "-S").Run() != nil {
		t.Skip("a kernel without legacy tables")
	}
	program, err := exec.LookPath("iptables-nft")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(program, filepath.Join(dir, "iptables-nft")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	p := (&Host{}).checkRules(t.Context())
	if p.State != machine.Unmet || !strings.HasSuffix(p.Found, ", and the kernel has a legacy table nat that no program here can list") || p.Remedy != "install iptables-legacy" {
		t.Errorf("found %+v", p)
	}
}

// A network without a rule is an error: Docker has its chains, so nothing is asked about
// the daemon. A rule of another shape is looked for by its effect.
func TestFindRule(t *testing.T) {
	for _, c := range []struct {
		name, rule string
		missing    bool
		want       string
	}{
		{"no_rule", "-s 172.17.0.0/16 ! -o docker0 -j MASQUERADE", true, "; Docker has its chains there, and no rule for network clients (did another program delete it?)"},
		{"an_address_of_host_ipv4", "-s 198.18.0.0/24 ! -o br0 -j SNAT --to-source 192.0.2.1", false, "it translates to a fixed address, as Docker does for the network option com.docker.network.host_ipv4"},
		{"options_already", "-s 198.18.0.0/24 ! -o br0 -j MASQUERADE --random-fully", false, "it has options already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			netnstest.Enter(t)
			netnstest.Run(t, "set -e; "+dockersChains+"iptables-nft -t nat -A POSTROUTING "+c.rule)
			tables, err := iptables.FindInstalled(iptables.IPv4)
			if err != nil {
				t.Fatal(err)
			}
			l := &dockerLab{host: &Host{tables: tables}, clientNet: labNetwork{name: "clients", bridge: "br0", subnet: netip.MustParsePrefix("198.18.0.0/24")}}
			if err = l.findRule(t.Context()); !c.missing && err == nil {
				err = l.unusual
			}
			if err == nil || strings.Contains(err.Error(), "iptables=false") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}
