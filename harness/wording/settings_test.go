package wording

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"snatlab/harness/result"
)

func TestDescribeSettings(t *testing.T) {
	t.Parallel()
	got := DescribeSettings([]result.Setting{
		{Part: result.PartRouter, Key: "net.netfilter.nf_conntrack_max", Value: "4096"},
		{Part: result.PartClients, Key: result.KeySourcePorts, Value: result.SplitPorts},
		{Part: result.PartClients, Key: result.KeySourcePorts, Value: "40000-40015"},
		{Part: result.PartClients, Key: result.KeyResolver, Value: result.UseVC},
		{Part: result.PartRouter, Key: result.KeyAddress, Value: "198.19.200.1 dev server"},
	})
	want := []string{
		"router: net.netfilter.nf_conntrack_max = 4096",
		"clients: each has source ports of its own",
		"clients: source ports 40000 to 40015",
		"clients: resolver = use-vc",
		"router: address 198.19.200.1 on server",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if none := DescribeSettings(nil); none == nil || len(none) != 0 {
		t.Errorf("no settings are %#v, want an empty list: JSON has [] for it", none)
	}
}
