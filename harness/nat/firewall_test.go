package nat

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"snatlab/harness/nat/iptables"
	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// firewall is a backend as its own program shows it. The claims are checked with
// it, and it changes rules as another program would. A rule is given as the
// program lists it without counters.
type firewall interface {
	network() nattest.Network
	masquerade(context.Context, *undo.Journal) (*Rule, error) // of the network in these tests
	name() string
	place() string
	ours(snat.Options) string
	control() string       // the rule of the control
	drawing() string       // the rule for someConnections
	part(snat.Part) string // the rule for the TCP of a client
	theirs(n int) string   // a rule of another program, for 10.n.0.0/16 or fd00:n::/32

	rules(t *testing.T) []string   // of our chain
	listing(t *testing.T) []string // the same, with the counters
	uncounted(rule string) string  // as listed when it has counted nothing

	add(t *testing.T, rule string)
	insert(t *testing.T, rule string)
	replace(t *testing.T, n int, rule string) // n counts from 1
	remove(t *testing.T, n int)
	flush(t *testing.T)
}

// eachFirewall runs a test with each backend, in a namespace of its own.
func eachFirewall(t *testing.T, test func(t *testing.T, f firewall)) {
	t.Helper()
	for name, open := range map[string]func(t *testing.T) firewall{
		"iptables-nft":     func(t *testing.T) firewall { return openIptables(t, "iptables-nft") },
		"iptables-legacy":  func(t *testing.T) firewall { return openIptables(t, "iptables-legacy") },
		"ip6tables-nft":    func(t *testing.T) firewall { return openIptables(t, "ip6tables-nft") },
		"ip6tables-legacy": func(t *testing.T) firewall { return openIptables(t, "ip6tables-legacy") },
		"nftables":         func(t *testing.T) firewall { return openNFT(t) },
		"nftables-ip6":     func(t *testing.T) firewall { openNFT(t); return byNFT{nattest.IPv6} },
	} {
		t.Run(name, func(t *testing.T) {
			nattest.EnterNamespace(t)
			test(t, open(t))
		})
	}
}

// eachNFT runs a test with nftables and the network in each family, in a namespace of its
// own.
func eachNFT(t *testing.T, test func(t *testing.T, f byNFT)) {
	t.Helper()
	for _, n := range []nattest.Network{nattest.IPv4, nattest.IPv6} {
		t.Run(n.Family(), func(t *testing.T) {
			nattest.EnterNamespace(t)
			openNFT(t)
			test(t, byNFT{n})
		})
	}
}

// eachIptables runs a test with each variant of iptables and of ip6tables, in a namespace
// of its own.
func eachIptables(t *testing.T, test func(t *testing.T, f byIptables)) {
	t.Helper()
	nattest.EachProgram(t, func(t *testing.T, program string) { test(t, openIptables(t, program)) })
}

func openIptables(t *testing.T, program string) byIptables {
	t.Helper()
	f := byIptables{openProgramOf(t, program)}
	f.add(t, f.theirs(0)) // makes the table, which stays
	f.flush(t)
	return f
}

// byIptables is iptables or ip6tables with the rule of the network in its family.
type byIptables struct{ variant }

func (f byIptables) network() nattest.Network {
	return [...]nattest.Network{iptables.IPv4: nattest.IPv4, iptables.IPv6: nattest.IPv6}[f.Family]
}

// inFamily returns the text of a rule with addresses of the program's family in place of
// those of IPv4.
func (f byIptables) inFamily(rule string) string {
	if f.network() == nattest.IPv6 {
		return inIPv6(rule)
	}
	return rule
}

func (f byIptables) masquerade(ctx context.Context, j *undo.Journal) (*Rule, error) {
	return MasqueradeIPTables(ctx, j, f.Program, f.network().Subnet, nattest.Bridge)
}

func (byIptables) place() string { return iptables.Postrouting }

func (f byIptables) name() string { return f.network().IPTables() + " " + f.Version() }

func (f byIptables) ours(o snat.Options) string {
	return f.inFamily("-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c ") + nattest.RuleEnds[o].IPTables
}

func (f byIptables) theirs(n int) string { return theirIptables(f.network(), n) }

// theirIptables returns a rule of another program in the family of a network.
func theirIptables(of nattest.Network, n int) string {
	if of == nattest.IPv6 {
		return fmt.Sprintf("-A POSTROUTING -s fd00:%d::/32 ! -o docker0 -j MASQUERADE", n)
	}
	return fmt.Sprintf("-A POSTROUTING -s 10.%d.0.0/16 ! -o docker0 -j MASQUERADE", n)
}

func (f byIptables) rules(t *testing.T) []string {
	t.Helper()
	return nattest.SplitLines(removeMarks(netnstest.Run(t, f.Path+" -t nat -S POSTROUTING 2>/dev/null")))[1:] // the policy comes first
}

func (f byIptables) listing(t *testing.T) []string {
	t.Helper()
	return f.variant.listCounted(t)[1:]
}

func (byIptables) uncounted(rule string) string { return strings.Replace(rule, " -j", " -c 0 0 -j", 1) }

func (f byIptables) add(t *testing.T, rule string) {
	t.Helper()
	netnstest.Run(t, f.Path+" -t nat "+rule)
}

func (f byIptables) insert(t *testing.T, rule string) {
	t.Helper()
	f.add(t, strings.Replace(rule, "-A", "-I", 1))
}

func (f byIptables) replace(t *testing.T, n int, rule string) {
	t.Helper()
	f.add(t, strings.Replace(rule, "-A POSTROUTING", fmt.Sprint("-R POSTROUTING ", n), 1))
}

func (f byIptables) remove(t *testing.T, n int) {
	t.Helper()
	f.add(t, fmt.Sprint("-D POSTROUTING ", n))
}

func (f byIptables) flush(t *testing.T) {
	t.Helper()
	f.add(t, "-F POSTROUTING")
}

// byNFT is nftables with the rule of a network.
type byNFT struct{ of nattest.Network }

// nft4 is nftables with the rule of the network in IPv4.
var nft4 = byNFT{nattest.IPv4}

func (f byNFT) network() nattest.Network { return f.of }

// chain returns the masquerade chain as an argument of the nft program.
func (f byNFT) chain() string { return f.of.Family() + " snatlab postrouting" }

func openNFT(t *testing.T) byNFT {
	t.Helper()
	nattest.RequireNFT(t)
	return nft4
}

func (f byNFT) masquerade(ctx context.Context, j *undo.Journal) (*Rule, error) {
	return MasqueradeNFTables(ctx, j, f.of.Subnet, nattest.Bridge)
}

func (byNFT) name() string { return "nftables" }

func (f byNFT) place() string { return "table " + f.of.Family() + " snatlab" }

func (f byNFT) ours(o snat.Options) string {
	return f.start() + nattest.RuleEnds[o].NFTables
}

// start returns the beginning of the network's rule.
func (f byNFT) start() string {
	return fmt.Sprintf(`%s saddr %v oifname != "snat-c" `, f.of.Family(), f.of.Subnet)
}

func (f byNFT) theirs(n int) string {
	if f.of == nattest.IPv6 {
		return fmt.Sprintf(`ip6 saddr fd00:%d::/32 oifname != "docker0" counter masquerade`, n)
	}
	return fmt.Sprintf(`ip saddr 10.%d.0.0/16 oifname != "docker0" counter masquerade`, n)
}

func (f byNFT) rules(t *testing.T) []string   { t.Helper(); return f.of.ListMasqueradeTable(t, "-s") }
func (f byNFT) listing(t *testing.T) []string { t.Helper(); return f.of.ListMasqueradeTable(t, "") }

func (byNFT) uncounted(rule string) string {
	return strings.Replace(rule, "counter", "counter packets 0 bytes 0", 1)
}

func (f byNFT) add(t *testing.T, rule string) {
	t.Helper()
	netnstest.Run(t, "nft 'add rule "+f.chain()+" "+rule+"'")
}

func (f byNFT) insert(t *testing.T, rule string) {
	t.Helper()
	netnstest.Run(t, "nft 'insert rule "+f.chain()+" "+rule+"'")
}

func (f byNFT) replace(t *testing.T, n int, rule string) {
	t.Helper()
	netnstest.Run(t, "nft 'replace rule "+f.chain()+" handle "+f.handle(t, n)+" "+rule+"'")
}

func (f byNFT) remove(t *testing.T, n int) {
	t.Helper()
	netnstest.Run(t, "nft delete rule "+f.chain()+" handle "+f.handle(t, n))
}

func (f byNFT) handle(t *testing.T, n int) string {
	t.Helper()
	return regexp.MustCompile(`# handle (\d+)$`).FindStringSubmatch(f.of.ListMasqueradeTable(t, "-a")[n-1])[1]
}

func (f byNFT) flush(t *testing.T) {
	t.Helper()
	netnstest.Run(t, "nft flush chain "+f.chain())
}
