package nattest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/netnstest"
)

// ListAllRules returns all rules of all firewalls in the namespace of the test,
// counters included. With handles, a rule that was written again differs.
func ListAllRules(t *testing.T, handles bool) []string {
	t.Helper()
	list := "nft list ruleset"
	if handles {
		list = "nft -a list ruleset"
	}
	var all []string
	for _, line := range SplitLines(netnstest.Run(t, list+" 2>/dev/null; iptables-legacy-save -c; ip6tables-legacy-save -c")) {
		if !strings.HasPrefix(line, "#") { // a warning, or the time of day
			all = append(all, line)
		}
	}
	return all
}

// SplitLines returns the lines of a text that are not empty.
func SplitLines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}

// AddForeignRules is [Network.AddForeignRules] of the network in IPv4.
func AddForeignRules(t *testing.T) {
	t.Helper()
	IPv4.AddForeignRules(t)
}

// AddForeignRules writes rules of other programs at the same hook, some of them
// under snatlab's names: its table of this family does not exist.
func (n Network) AddForeignRules(t *testing.T) {
	t.Helper()
	in := map[string]string{"ip": "10.9.0.0/16", "ip6": "fd00::/64"}
	family, other := n.Family(), n.Other().Family()
	nft := `
table ` + family + ` theirs {
	set nets { type ` + map[string]string{"ip": "ipv4_addr", "ip6": "ipv6_addr"}[family] + `; flags interval; elements = { ` + in[family] + ` } }
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		` + family + ` saddr @nets oifname != "snat-c" counter packets 5 bytes 300 masquerade fully-random comment "theirs"
	}
}
table ` + other + ` snatlab {
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		` + other + ` saddr ` + in[other] + ` oifname != "snat-c" counter packets 6 bytes 360 masquerade
	}
}
table inet snatlab {
	chain postrouting {
		type nat hook postrouting priority srcnat + 5; policy accept;
		ip saddr 10.9.0.0/16 counter packets 7 bytes 420
	}
}`
	netnstest.Run(t, "nft -f - <<'END'"+nft+"\nEND")
	// A kernel without legacy tables holds no rules there.
	netnstest.Run(t, n.IPTables()+"-legacy -t nat -A POSTROUTING -c 7 420 -s "+map[string]string{"ip": "10.8.0.0/16", "ip6": "fd00:8::/32"}[family]+" ! -o docker0 -j MASQUERADE || :")
}

// CheckNoTables reports tables of any firewall in the namespace of the test.
func CheckNoTables(t *testing.T) {
	t.Helper()
	if names := netnstest.Run(t, "cat /proc/thread-self/net/ip_tables_names /proc/thread-self/net/ip6_tables_names 2>/dev/null || :"); names != "" {
		t.Errorf("iptables-legacy tables were made: %q", names)
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Log("nft is not installed: its tables are not looked at")
	} else if rules := netnstest.Run(t, "nft list ruleset"); rules != "" {
		t.Errorf("nft tables were made:\n%s", rules)
	}
}

// CheckUnchanged reports rules that differ from those before.
func CheckUnchanged(t *testing.T, before, now []string) {
	t.Helper()
	if d := cmp.Diff(before, now); d != "" {
		t.Errorf("the rules are not what they were (-before +now):\n%s", d)
	}
}

// ReadFile returns the content of a file.
func ReadFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// RequireNFT skips the test if the nft program is not installed.
func RequireNFT(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("nft"); err != nil {
		netnstest.SkipWithout(t, err.Error()+" (install the package nftables)")
	}
}

// ListMasqueradeTable returns the rules of snatlab's masquerade chain as
// `nft FLAG list chain` prints them. Without the table there are none.
func (n Network) ListMasqueradeTable(t *testing.T, flag string) []string {
	t.Helper()
	var rules []string
	for _, line := range SplitLines(netnstest.Run(t, "nft "+flag+" list chain "+n.Family()+" snatlab postrouting 2>/dev/null || :")) {
		if strings.HasPrefix(line, "\t\t") && !strings.HasPrefix(line, "\t\ttype ") {
			rules = append(rules, strings.TrimSpace(line))
		}
	}
	return rules
}

// EachVariant runs a test with iptables-nft and with iptables-legacy, each in a
// namespace of its own. The test gets the variant's name.
func EachVariant(t *testing.T, test func(t *testing.T, variant string)) {
	t.Helper()
	for _, variant := range []string{"nft", "legacy"} {
		t.Run(variant, func(t *testing.T) {
			EnterNamespace(t)
			RequireVariant(t, variant)
			test(t, variant)
		})
	}
}

// EachProgram runs a test with each variant of iptables and of ip6tables, each in a
// namespace of its own. The test gets the program's name.
func EachProgram(t *testing.T, test func(t *testing.T, program string)) {
	t.Helper()
	for _, program := range []string{"iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"} {
		t.Run(program, func(t *testing.T) {
			EnterNamespace(t)
			RequireProgram(t, program)
			test(t, program)
		})
	}
}

// RequireVariant is [RequireProgram] of a variant of iptables.
func RequireVariant(t *testing.T, variant string) {
	t.Helper()
	RequireProgram(t, "iptables-"+variant)
}

// RequireProgram skips the test if a variant of iptables or of ip6tables is not
// installed, or if the kernel has no tables for it. It makes the nat table of the program.
func RequireProgram(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		netnstest.SkipWithout(t, err.Error())
	}
	if out, err := exec.Command(program, "-t", "nat", "-S").CombinedOutput(); strings.Contains(string(out), "Table does not exist") {
		t.Skipf("a kernel without tables of %s: %s", program, out)
	} else if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// ForeignRules are rules of other programs that resemble ours, as `iptables -A
// POSTROUTING` takes them. Their counters are not 0.
var ForeignRules = []string{
	"-c 7 420 -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
	"-c 1 60 -s 198.18.0.0/24 ! -o snat-s -j MASQUERADE",
	"-c 2 120 -s 198.18.1.0/24 ! -o snat-c -j MASQUERADE",
	"-c 3 180 -s 198.18.0.0/24 -o snat-c -j MASQUERADE",
	"-c 4 240 -s 198.18.2.0/24 ! -o snat-2 -j MASQUERADE --random-fully",
	"-c 5 300 -s 198.18.0.0/24 ! -o snat-c -p tcp -j MASQUERADE --to-ports 1024-65535",
	`-c 6 360 -s 198.18.0.0/24 ! -o snat-c -m comment --comment "it's \"ours\" -c 0 0 #not" -j MASQUERADE`,
	"-c 8 480 -s 198.18.0.0/24 ! -o snat-c -m comment --comment -c -j MASQUERADE",
	"-c 9 540 -s 198.18.0.0/25 ! -o snat-c -j MASQUERADE",
	"-c 10 600 -s 198.18.0.0/24 ! -o snat-c+ -j RETURN",
	"-c 11 660 -s 198.18.0.2/32",
}
