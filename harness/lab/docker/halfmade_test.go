package docker

import (
	"net"
	"testing"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/netnstest"
	"snatlab/harness/undo"
)

// The step of a network that Docker does not know undoes what its creation left.
func TestUndoHalfMadeNetwork(t *testing.T) {
	netnstest.Enter(t)
	nattest.RequireNFT(t)
	e := startEngine(t, nil)
	netnstest.Run(t, "iptables-nft -t nat -A POSTROUTING -s 198.18.1.0/24 ! -o snat-other1-c -j MASQUERADE")
	before := nattest.ListAllRules(t, false)
	netnstest.Run(t, "ip link add snat-b7dc92-c type bridge; iptables-nft -t nat -A POSTROUTING -s 198.18.0.0/24 ! -o snat-b7dc92-c -j MASQUERADE")
	step := undo.NewStep(KindNetwork, "", "", engineObject{Host: e.address, Run: "20261128-082303-b7dc92", Name: "snatlab-20261128-082303-b7dc92-clients"})
	if err := Undoers().UndoAll(t.Context(), []undo.Step{step}); err != nil {
		t.Fatal(err)
	}
	nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, false))
	if _, err := net.InterfaceByName("snat-b7dc92-c"); err == nil {
		t.Error("the bridge is still there")
	}
}
