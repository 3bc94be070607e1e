package wording

import (
	"strings"
	"testing"

	"snatlab/harness/result"
)

func TestSeries(t *testing.T) {
	t.Parallel()
	for want, k := range map[string]result.Key{
		"quickstart: netns, amd64, 2 CPUs, hash sha256:1":                                            {Scenario: "quickstart", Driver: "netns", Arch: "amd64", CPUs: 2, Hash: "sha256:1"},
		"a: docker 28.5.2, firewall iptables, iptables 1.8.9 (nft), amd64, 1 CPU, hash sha256:1":     {Scenario: "a", Driver: "docker", Docker: "28.5.2", Firewall: "iptables", Iptables: "1.8.9 (nft)", NAT: "iptables", Arch: "amd64", CPUs: 1, Hash: "sha256:1"},
		"p: docker (podman) 5.4.2, firewall netavark, nftables, amd64, 1 CPU, hash sha256:1":         {Scenario: "p", Driver: "docker", Engine: result.EnginePodman, Docker: "5.4.2", Firewall: "netavark", NAT: "nftables", Arch: "amd64", CPUs: 1, Hash: "sha256:1"},
		"b: netns (rootless), nftables, amd64, 2 CPUs, virtualisation qemu, guest under tcg, hash x": {Scenario: "b", Driver: "netns", Rootless: true, NAT: "nftables", Arch: "amd64", CPUs: 2, Virtualisation: "qemu", Guest: "tcg", Hash: "x"},
	} {
		if got := SeriesName(k); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A fact of a key that the line about a series does not hold would leave the user
// with two series that look alike.
func TestSeriesShowsEveryFact(t *testing.T) {
	t.Parallel()
	key := result.Key{Scenario: "a-scenario", Hash: "a-hash", Arch: "an-arch", CPUs: 77, Driver: "a-driver", Rootless: true, NAT: "a-nat",
		Docker: "an-engine", Firewall: "a-firewall", Iptables: "an-iptables", Virtualisation: "a-hypervisor", Guest: "a-guest", Node: "a-node", Engine: "another-engine"}
	withoutIptables := key
	withoutIptables.Iptables = ""
	text := SeriesName(key) + SeriesName(withoutIptables) // NAT stands where iptables would
	for _, f := range key.Facts() {
		want := f.Value
		if f.Name == "rootless" {
			want = "(rootless)"
		}
		if f.Value == "" || !strings.Contains(text, want) {
			t.Errorf("%s: no %q in %s", f.Name, want, text)
		}
	}
}
