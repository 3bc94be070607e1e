package effect

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/nat/snat"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// shape is a way in which some program translates the connections of a client.
type shape struct {
	name    string
	script  string
	program string
	place   string
	text    string // of the rule that translates
	counted bool
	podmans bool // arms have a table of their own, which is there until the journal is undone
	options snat.Options
	before  string // the rule of an arm, up to its action
	action  map[snat.Options]string
}

// The actions of rules of arms, as each program prints them.
var (
	drawn, plain   = snat.Options{RandomFully: true}, snat.Options{Plain: true}
	iptablesAction = map[snat.Options]string{
		plain: "-j MASQUERADE", drawn: "-j MASQUERADE --random-fully", {Random: true}: "-j MASQUERADE --random",
		{ToPorts: nattest.TenPorts}: "-p tcp -j MASQUERADE --to-ports 20000-20009", {ToSource: nattest.OneAddress}: "-j SNAT --to-source 192.0.2.11",
		{RandomFully: true, PerMillion: 500_000}: "-m statistic --mode random --probability 0.50000000000 -j MASQUERADE --random-fully",
	}
	nftablesAction = map[snat.Options]string{
		plain: "counter masquerade", drawn: "counter masquerade fully-random", {Random: true}: "counter masquerade random",
		{ToPorts: nattest.TenPorts}: "meta l4proto tcp counter masquerade to :20000-20009", {ToSource: nattest.OneAddress}: "counter snat to 192.0.2.11",
		{RandomFully: true, PerMillion: 500_000}: "numgen random mod 1000000 < 500000 counter masquerade fully-random",
	}
	fixedAction = map[snat.Options]string{
		plain: "-j SNAT --to-source 192.0.2.1", drawn: "-j SNAT --to-source 192.0.2.1 --random-fully",
	}
)

const (
	toIptables = "-s 198.18.0.1/32 -d 192.0.2.9/32 "
	toNFTables = "ip saddr 198.18.0.1 ip daddr 192.0.2.9 "
)

// shapes are the rules of known programs, or as like them as this kernel allows. Each
// stands among rules that do not translate the client's connections.
var shapes = []shape{
	{
		name: "bridge_plugin_of_CNI",
		script: `iptables-nft -t nat -N CNI-3f9770e8
			iptables-nft -t nat -N CNI-62968dc8
			iptables-nft -t nat -A CNI-3f9770e8 -d 198.18.0.0/24 -m comment --comment 'name: "pods" id: "90990c58"' -j ACCEPT
			iptables-nft -t nat -A CNI-3f9770e8 ! -d 224.0.0.0/4 -m comment --comment 'name: "pods" id: "90990c58"' -j MASQUERADE
			iptables-nft -t nat -A CNI-62968dc8 ! -d 224.0.0.0/4 -m comment --comment 'name: "pods" id: "04959ae2"' -j MASQUERADE
			iptables-nft -t nat -A POSTROUTING -s 198.18.0.6/32 -m comment --comment 'name: "pods" id: "04959ae2"' -j CNI-62968dc8
			iptables-nft -t nat -A POSTROUTING -s 198.18.0.1/32 -m comment --comment 'name: "pods" id: "90990c58"' -j CNI-3f9770e8`,
		program: "iptables (nft)", place: "CNI-3f9770e8", counted: true,
		text:   `-A CNI-3f9770e8 ! -d 224.0.0.0/4 -m comment --comment "name: \"pods\" id: \"90990c58\"" -j MASQUERADE`,
		before: "-A CNI-3f9770e8 " + toIptables, action: iptablesAction,
	},
	{
		name: "flannel",
		script: `iptables-nft -t nat -N FLANNEL-POSTRTG
			iptables-nft -t nat -A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
			iptables-nft -t nat -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
			iptables-nft -t nat -A FLANNEL-POSTRTG -s 198.18.0.0/24 -d 198.18.0.0/16 -m comment --comment "flanneld masq" -j RETURN
			iptables-nft -t nat -A FLANNEL-POSTRTG -s 198.18.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully
			iptables-nft -t nat -A FLANNEL-POSTRTG ! -s 198.18.0.0/16 -d 198.18.0.0/16 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully`,
		program: "iptables (nft)", place: "FLANNEL-POSTRTG", counted: true, options: drawn,
		text:   `-A FLANNEL-POSTRTG -s 198.18.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE --random-fully`,
		before: "-A FLANNEL-POSTRTG " + toIptables, action: iptablesAction,
	},
	{
		name: "ip-masq-agent",
		script: `iptables-nft -t nat -N IP-MASQ-AGENT
			iptables-nft -t nat -A POSTROUTING -m comment --comment "ip-masq-agent: ensure nat POSTROUTING directs all non-LOCAL destination traffic to our custom IP-MASQ-AGENT chain" -m addrtype ! --dst-type LOCAL -j IP-MASQ-AGENT
			iptables-nft -t nat -A IP-MASQ-AGENT -d 10.0.0.0/8 -m comment --comment "ip-masq-agent: local traffic is not subject to MASQUERADE" -j RETURN
			iptables-nft -t nat -A IP-MASQ-AGENT -m comment --comment "ip-masq-agent: outbound traffic is subject to MASQUERADE (must be last in chain)" -j MASQUERADE`,
		program: "iptables (nft)", place: "IP-MASQ-AGENT", counted: true,
		text:   `-A IP-MASQ-AGENT -m comment --comment "ip-masq-agent: outbound traffic is subject to MASQUERADE (must be last in chain)" -j MASQUERADE`,
		before: "-A IP-MASQ-AGENT " + toIptables, action: iptablesAction,
	},
	{
		name: "kube-proxy_with_a_mark",
		script: `iptables-nft -t nat -N KUBE-POSTROUTING
			iptables-nft -t mangle -A OUTPUT -d 192.0.2.9/32 -j MARK --set-xmark 0x4000/0x4000
			iptables-nft -t nat -A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
			iptables-nft -t nat -A POSTROUTING -s 198.18.0.0/24 -j MASQUERADE
			iptables-nft -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
			iptables-nft -t nat -A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
			iptables-nft -t nat -A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully`,
		program: "iptables (nft)", place: "KUBE-POSTROUTING", counted: true, options: drawn,
		text:   `-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully`,
		before: "-A KUBE-POSTROUTING " + toIptables, action: iptablesAction,
	},
	{
		name: "kube-proxy_in_nftables_mode",
		script: `nft -f - <<'END'
table ip kube-proxy {
	chain masquerading {
		mark and 0x4000 == 0 return
		mark set mark xor 0x4000
		masquerade fully-random
	}
	chain nat-postrouting {
		type nat hook postrouting priority srcnat;
		jump masquerading
	}
	chain set-mark {
		type filter hook output priority mangle;
		ip daddr 192.0.2.9 meta mark set 0x4000
	}
}
END`,
		program: "nftables", place: "table ip kube-proxy, chain masquerading", options: drawn,
		text:   "masquerade fully-random",
		before: toNFTables, action: nftablesAction,
	},
	{
		name: "a_table_of_a_CNI_plugin",
		script: `nft -f - <<'END'
table inet cni_plugins_masquerade {
	set nets { type ipv4_addr; flags interval; elements = { 198.18.0.0/24 } }
	chain masq_checks {
		ip saddr 198.18.0.6 ip daddr != 224.0.0.0/4 masquerade comment "other"
		ip saddr 198.18.0.1 ip daddr != { 224.0.0.0/4, 198.18.0.0/24 } masquerade comment "net, eth0, 1234"
		ip saddr @nets masquerade
	}
	chain postrouting {
		type nat hook postrouting priority srcnat;
		jump masq_checks
	}
}
END`,
		program: "nftables", place: "table inet cni_plugins_masquerade, chain masq_checks",
		text:   `meta nfproto ipv4 ip saddr 198.18.0.1 ... masquerade comment "net, eth0, 1234"`,
		before: toNFTables, action: nftablesAction,
	},
	{
		name: "Docker_with_nftables",
		script: `nft -f - <<'END'
table ip docker-bridges {
	map nat-postrouting-out-jumps {
		type ifname : verdict
		elements = { "docker0" : jump nat-postrouting-out__docker0 }
	}
	chain nat-postrouting-out__docker0 {
		oifname != "docker0" ip saddr 198.18.0.0/24 counter packets 7 bytes 420 masquerade comment "MASQUERADE"
	}
	chain nat-POSTROUTING {
		type nat hook postrouting priority srcnat;
		jump nat-postrouting-out__docker0
		iifname vmap @nat-postrouting-out-jumps
	}
}
END`,
		program: "nftables", place: "table ip docker-bridges, chain nat-postrouting-out__docker0", counted: true,
		text:   `oifname != "docker0" ip saddr 198.18.0.0/24 counter masquerade comment "MASQUERADE"`,
		before: toNFTables, action: nftablesAction,
	},
	{
		name: "a_fixed_address",
		script: `iptables-nft -t nat -A POSTROUTING -s 198.18.0.6/32 -j MASQUERADE
			iptables-nft -t nat -A POSTROUTING -s 198.18.0.0/24 ! -o docker0 -j SNAT --to-source 192.0.2.1`,
		program: "iptables (nft)", place: "POSTROUTING", counted: true, options: snat.Options{ToSource: snat.ParseAddresses("192.0.2.1")},
		text:   "-A POSTROUTING -s 198.18.0.0/24 ! -o docker0 -j SNAT --to-source 192.0.2.1",
		before: "-A POSTROUTING " + toIptables, action: fixedAction,
	},
	{
		name: "iptables-legacy",
		script: `iptables-legacy -t nat -N CNI-3f9770e8
			iptables-legacy -t nat -A CNI-3f9770e8 -d 198.18.0.0/24 -j ACCEPT
			iptables-legacy -t nat -A CNI-3f9770e8 ! -d 224.0.0.0/4 -m comment --comment "name: \"pods\" id: \"90990c58\"" -j MASQUERADE
			iptables-legacy -t nat -A CNI-3f9770e8 ! -d 224.0.0.0/4 -m comment --comment "name: \"pods\" id: \"90990c58\"" -j MASQUERADE
			iptables-legacy -t nat -A POSTROUTING -s 198.18.0.1/32 -j CNI-3f9770e8
			iptables-legacy -t nat -A POSTROUTING -s 198.18.0.0/24 -j MASQUERADE`,
		program: "iptables (legacy)", place: "CNI-3f9770e8", counted: true,
		text:   `-A CNI-3f9770e8 ! -d 224.0.0.0/4 -m comment --comment "name: \"pods\" id: \"90990c58\"" -j MASQUERADE`,
		before: "-A CNI-3f9770e8 " + toIptables, action: iptablesAction,
	},
}

// eachShape runs a test with each shape, in a namespace of its own.
func eachShape(t *testing.T, test func(t *testing.T, s shape)) {
	t.Helper()
	for _, s := range slices.Concat(shapes, podmansShapes) {
		t.Run(s.name, func(t *testing.T) {
			nattest.EnterNamespace(t)
			nattest.RequireNFT(t)
			nattest.RequireVariant(t, map[bool]string{true: "legacy", false: "nft"}[s.program == "iptables (legacy)"])
			netnstest.Run(t, "set -e\n"+s.script)
			test(t, s)
		})
	}
}

// client returns the connections of the client of nattest's namespace.
func client(t *testing.T) Connections {
	return Connections{
		Clients: []netip.Addr{nattest.ClientAddress}, Server: snat.ServerAt(nattest.ServerAddress),
		Send: func(_ context.Context, _, n int) error { send(t, n); return nil },
	}
}

// sent is the number of connections of send so far.
var sent atomic.Uint32

// No port is used again while the entry of its last connection is there.
func send(t *testing.T, n int) {
	first := sent.Add(uint32(n)) - uint32(n)
	nattest.SendSYNsFrom(t, uint16(45_000+first%15_000), netip.AddrPortFrom(nattest.ServerAddress, 9000), n)
}

func newJournal(t *testing.T) *undo.Journal {
	t.Helper()
	j, _ := nattest.NewJournal(t, Undoers())
	return j
}

func findRules(t *testing.T, j *undo.Journal) *Rules {
	t.Helper()
	r, err := Find(t.Context(), j, client(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func applyArm(t *testing.T, r *Rules, j *undo.Journal, o snat.Options) *Applied {
	t.Helper()
	a, err := r.Apply(t.Context(), j, o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// listRules returns all rules with their handles and without their counters: a rule that
// was written again differs.
func listRules(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, line := range nattest.ListAllRules(t, true) {
		all = append(all, counterValues.ReplaceAllString(line, ""))
	}
	return slices.DeleteFunc(all, func(l string) bool { return strings.HasPrefix(l, ":") && strings.Contains(l, "[") })
}

func checkPackets(t *testing.T, a *Applied, own, control uint64) {
	t.Helper()
	if gotOwn, gotControl, err := a.BothPackets(t.Context()); gotOwn != own || gotControl != control || err != nil {
		t.Errorf("%s: %d packets, and %d of the control (%v), want %d and %d", a.Text(), gotOwn, gotControl, err, own, control)
	}
}
