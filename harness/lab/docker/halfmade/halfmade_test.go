package halfmade

import (
	"context"
	"os"
	"testing"

	"github.com/docker/docker/api/types/network"

	"snatlab/harness/nat/nattest"
	"snatlab/harness/netnstest"
)

// asDockerLeft makes what Docker 20.10 leaves of a network whose creation failed.
const asDockerLeft = `set -e
ip link add snat-b7dc92-c type bridge
$p -A FORWARD -o snat-b7dc92-c -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
$p -A FORWARD -o snat-b7dc92-c -j DOCKER
$p -A FORWARD -i snat-b7dc92-c ! -o snat-b7dc92-c -j ACCEPT
$p -A FORWARD -i snat-b7dc92-c -o snat-b7dc92-c -j ACCEPT
$p -t nat -A POSTROUTING -s 198.18.0.0/24 ! -o snat-b7dc92-c -j MASQUERADE
$p -t nat -A DOCKER -i snat-b7dc92-c -j RETURN`

// asOthersHave makes a rule of each kind for a network of somebody else, whose bridge has a
// similar name, and rules that name ours elsewhere than as an interface.
const asOthersHave = `set -e
$p -N DOCKER; $p -t nat -N DOCKER
ip link add snat-b7dc92-s type bridge
$p -A FORWARD -o snat-b7dc92-s -j DOCKER
$p -A FORWARD -o snat-b7dc92-+ -j DOCKER
$p -A FORWARD -m comment --comment snat-b7dc92-c -j ACCEPT
$p -t nat -A POSTROUTING -s 198.18.1.0/24 ! -o snat-b7dc92-s -j MASQUERADE`

// What a network left is removed, once and again, and nothing else.
func TestRemove(t *testing.T) {
	nattest.EachVariant(t, func(t *testing.T, variant string) {
		run := func(script string) { netnstest.Run(t, "p=iptables-"+variant+"\n"+script) }
		run(asOthersHave)
		before := nattest.ListAllRules(t, false)
		run(asDockerLeft)
		for range 2 {
			if err := Remove(t.Context(), knows(), "snat-b7dc92-c"); err != nil {
				t.Fatal(err)
			}
			nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, false))
			if _, err := os.Stat("/proc/thread-self/net/dev_snmp6/snat-b7dc92-c"); err == nil {
				t.Error("the bridge is still there")
			}
		}
	})
}

// engineOf is an engine with these networks.
type engineOf []network.Summary

func (e engineOf) NetworkList(context.Context, network.ListOptions) ([]network.Summary, error) {
	return e, nil
}

// knows returns an engine that knows networks with these bridges.
func knows(bridges ...string) engineOf {
	e := engineOf{{Name: "bridge", Options: map[string]string{bridgeOption: "docker0"}}}
	for _, b := range bridges {
		e = append(e, network.Summary{Name: "theirs", Options: map[string]string{bridgeOption: b}})
	}
	return e
}

// A network that the engine knows keeps its bridge and its rules.
func TestRemoveKnown(t *testing.T) {
	netnstest.Enter(t)
	netnstest.Run(t, "ip link add snat-b7dc92-c type bridge; iptables-nft -A FORWARD -i snat-b7dc92-c -j ACCEPT")
	before := nattest.ListAllRules(t, false)
	if err := Remove(t.Context(), knows("snat-b7dc92-c"), "snat-b7dc92-c"); err != nil {
		t.Error(err)
	}
	nattest.CheckUnchanged(t, before, nattest.ListAllRules(t, false))
	netnstest.Run(t, "ip link show snat-b7dc92-c")
}

// An interface of that name that Docker did not make stays.
func TestRemoveOtherLink(t *testing.T) {
	netnstest.Enter(t)
	netnstest.Run(t, "ip link add snat-b7dc92-c type veth peer name other")
	err := Remove(t.Context(), knows(), "snat-b7dc92-c")
	if err == nil || err.Error() != "interface snat-b7dc92-c is a veth and no bridge, so Docker did not make it" {
		t.Errorf("error %v", err)
	}
	netnstest.Run(t, "ip link show snat-b7dc92-c")
}
