package nat

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// firewall is a backend as its own program shows it: what the claims are
// checked with, and who meddles with the rules. A rule is given as the program
// lists it without counters.
type firewall interface {
	masquerade(context.Context, *undo.Journal) (*Rule, error) // of the network in these tests
	name() string
	place() string
	ours(snat.Options) string
	theirs(n int) string // a rule of somebody else's, for 10.n.0.0/16

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
		"iptables-nft":    func(t *testing.T) firewall { return openIptables(t, "nft") },
		"iptables-legacy": func(t *testing.T) firewall { return openIptables(t, "legacy") },
		"nftables":        func(t *testing.T) firewall { return openNFT(t) },
	} {
		t.Run(name, func(t *testing.T) {
			namespace(t)
			test(t, open(t))
		})
	}
}

func openIptables(t *testing.T, variant string) byIptables {
	t.Helper()
	f := byIptables{program(t, variant)}
	f.add(t, f.theirs(0)) // makes the table, which stays
	f.flush(t)
	return f
}

type byIptables struct{ *Tables }

func (f byIptables) masquerade(ctx context.Context, j *undo.Journal) (*Rule, error) {
	return f.Masquerade(ctx, j, subnet, bridge)
}

func (f byIptables) name() string { return "iptables " + f.Version() }

func (byIptables) ours(o snat.Options) string {
	return "-A POSTROUTING -s 198.18.0.0/24 ! -o snat-c " + prints[o].iptables
}

func (byIptables) theirs(n int) string {
	return fmt.Sprintf("-A POSTROUTING -s 10.%d.0.0/16 ! -o docker0 -j MASQUERADE", n)
}

func (f byIptables) rules(t *testing.T) []string {
	t.Helper()
	return lines(unmarked(netnstest.Run(t, f.Path+" -t nat -S POSTROUTING 2>/dev/null")))[1:] // the policy comes first
}

func (f byIptables) listing(t *testing.T) []string {
	t.Helper()
	return f.Tables.listing(t)[1:]
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

type byNFT struct{}

func openNFT(t *testing.T) byNFT {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		netnstest.SkipWithout(t, err.Error()+" (install the package nftables)")
	}
	return byNFT{}
}

func (byNFT) masquerade(ctx context.Context, j *undo.Journal) (*Rule, error) {
	return NFTables(ctx, j, subnet, bridge)
}

func (byNFT) name() string { return "nftables" }

func (byNFT) place() string { return "table ip snatlab" }

func (byNFT) ours(o snat.Options) string {
	return `ip saddr 198.18.0.0/24 oifname != "snat-c" ` + prints[o].nft
}

func (byNFT) theirs(n int) string {
	return fmt.Sprintf(`ip saddr 10.%d.0.0/16 oifname != "docker0" counter masquerade`, n)
}

func (f byNFT) rules(t *testing.T) []string   { t.Helper(); return f.list(t, "-s") }
func (f byNFT) listing(t *testing.T) []string { t.Helper(); return f.list(t, "") }

// list gives the rules of our chain, of which there are none if there is no
// such table.
func (byNFT) list(t *testing.T, flag string) []string {
	t.Helper()
	var rules []string
	for _, line := range lines(netnstest.Run(t, "nft "+flag+" list chain ip snatlab postrouting 2>/dev/null || :")) {
		if strings.HasPrefix(line, "\t\t") && !strings.HasPrefix(line, "\t\ttype ") {
			rules = append(rules, strings.TrimSpace(line))
		}
	}
	return rules
}

func (byNFT) uncounted(rule string) string {
	return strings.Replace(rule, "counter", "counter packets 0 bytes 0", 1)
}

func (byNFT) add(t *testing.T, rule string) {
	t.Helper()
	netnstest.Run(t, "nft 'add rule ip snatlab postrouting "+rule+"'")
}

func (byNFT) insert(t *testing.T, rule string) {
	t.Helper()
	netnstest.Run(t, "nft 'insert rule ip snatlab postrouting "+rule+"'")
}

func (f byNFT) replace(t *testing.T, n int, rule string) {
	t.Helper()
	netnstest.Run(t, "nft 'replace rule ip snatlab postrouting handle "+f.handle(t, n)+" "+rule+"'")
}

func (f byNFT) remove(t *testing.T, n int) {
	t.Helper()
	netnstest.Run(t, "nft delete rule ip snatlab postrouting handle "+f.handle(t, n))
}

func (f byNFT) handle(t *testing.T, n int) string {
	t.Helper()
	return regexp.MustCompile(`# handle (\d+)$`).FindStringSubmatch(f.list(t, "-a")[n-1])[1]
}

func (byNFT) flush(t *testing.T) {
	t.Helper()
	netnstest.Run(t, "nft flush chain ip snatlab postrouting")
}

// everything is all that any firewall holds in the namespace of the test, to
// the last counter. A handle tells a rule that was written anew.
func everything(t *testing.T, handles bool) []string {
	t.Helper()
	list := "nft list ruleset"
	if handles {
		list = "nft -a list ruleset"
	}
	var all []string
	for _, line := range lines(netnstest.Run(t, list+" 2>/dev/null; iptables-legacy-save -c")) {
		if !strings.HasPrefix(line, "#") { // a warning, or the time of day
			all = append(all, line)
		}
	}
	return all
}

func lines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

// crowd writes what others may have in the same hook, some of it under our
// names.
func crowd(t *testing.T) {
	t.Helper()
	const nft = `
table ip theirs {
	set nets { type ipv4_addr; flags interval; elements = { 10.9.0.0/16 } }
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip saddr @nets oifname != "snat-c" counter packets 5 bytes 300 masquerade fully-random comment "theirs"
	}
}
table ip6 snatlab {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		ip6 saddr fd00::/64 oifname != "snat-c" counter packets 6 bytes 360 masquerade
	}
}
table inet snatlab {
	chain postrouting {
		type nat hook postrouting priority srcnat + 5; policy accept;
		ip saddr 10.9.0.0/16 counter packets 7 bytes 420
	}
}`
	netnstest.Run(t, "nft -f - <<'END'"+nft+"\nEND")
	// In a kernel without legacy tables, nobody has rules there.
	netnstest.Run(t, "iptables-legacy -t nat -A POSTROUTING -c 7 420 -s 10.8.0.0/16 ! -o docker0 -j MASQUERADE || :")
}
