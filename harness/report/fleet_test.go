package report

import (
	"testing"

	"snatlab/harness/report/reporttest"
	"snatlab/harness/result"
)

// nodeOf returns a node with a result of testdata, of another kernel.
func nodeOf(t *testing.T, node, kernel, name string) result.FleetNode {
	t.Helper()
	r := tested(t, kernel, name).Result
	r.Environment.Kernel, r.Environment.Driver = kernel, result.DriverKubernetes
	r.Environment.Kubernetes = &result.Kubernetes{Version: "v1.34.4", Node: node, Rules: []string{
		"iptables (nft), CNI-1: -A CNI-1 ! -d 224.0.0.0/4 -j MASQUERADE", "iptables (nft), CNI-2: -A CNI-2 ! -d 224.0.0.0/4 -j MASQUERADE",
	}}
	return result.FleetNode{Node: node, Status: result.RowOK, Seconds: 31.4, Result: r}
}

// Nodes are grouped by their kernel and by what they show; those that differ are named.
func TestWriteFleet(t *testing.T) {
	t.Parallel()
	m := matrixOf(tested(t, "6.1.0", "control"))
	odd := nodeOf(t, "web-3", "6.1.0", "control")
	for i := range odd.Result.Arms[0].Trials {
		odd.Result.Arms[0].Trials[i].Causes[result.SNATRace] = 0
	}
	odd.Result.Environment.Kubernetes.Rules = []string{"nftables, table ip kube-proxy, chain nat: masquerade fully-random"}
	odd.Result.Environment.Kubernetes.DrawsPorts = true
	f := &result.Fleet{Schema: result.FleetSchema, Started: m.Started, Seconds: m.Seconds, Scenario: m.Scenario, Nodes: []result.FleetNode{
		{Node: "db-1", Status: result.RowError, Reason: "has the taint dedicated=db:NoSchedule, which the Pods of a run do not tolerate"},
		nodeOf(t, "old-1", "5.15.0", "control-unhit"), nodeOf(t, "web-1", "6.1.0", "control"), nodeOf(t, "web-2", "6.1.0", "control"), odd,
	}}
	reporttest.CheckGolden(t, "testdata/fleet/mixed.txt", reporttest.Draw(t, reporttest.On80(WriteFleetText), f))
	reporttest.CheckGolden(t, "testdata/fleet/mixed.md", reporttest.Draw(t, WriteFleetMarkdown, f))
}
