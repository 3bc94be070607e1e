package main

import (
	"os"
	"strings"
	"testing"

	"github.com/docker/docker/api/types/network"
)

// An address that another network uses is refused: a container with that address
// would be cut off during the trials of the arm.
func TestForeignAddress(t *testing.T) {
	e := ownEngine(t)
	_, err := e.NetworkCreate(t.Context(), "shop", network.CreateOptions{Driver: "bridge",
		IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: "198.19.40.0/24"}}}})
	must(t, err)
	e.do(t, "ip", "route", "add", "blackhole", "198.19.41.0/24", "table", "77")
	before := e.state(t)
	for address, want := range map[string]string{
		"198.19.40.2": `translate to 198.19.40.2: Docker network "shop" has 198.19.40.0/24 (choose addresses that are free`,
		"198.19.40.1": `translate to 198.19.40.1: Docker network "shop" has 198.19.40.0/24 (choose addresses that are free`,
		"198.19.41.2": "translate to 198.19.41.2: this host has a route to 198.19.41.0/24, in table 77 (choose addresses that are free",
	} {
		t.Run(address, func(t *testing.T) {
			p := e.start(t, "run", scenarioFile(t, "name: shop\narms: [{name: masquerade}, {name: pool, snat: {to_source: ["+address+"]}}]\n"))
			p.brokeOff(t, "snatlab: "+want)
			if said := p.said(t); strings.Contains(said, "building") || strings.Contains(said, "making") {
				t.Errorf("something was made before that:\n%s", said)
			}
			if _, err := os.Stat(p.out); !os.IsNotExist(err) {
				t.Error("a folder is left for a result that does not exist")
			}
			e.same(t, before)
		})
	}
}
