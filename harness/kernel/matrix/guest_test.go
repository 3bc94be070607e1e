package matrix

import (
	"reflect"
	"strings"
	"testing"

	"snatlab/harness/kernel/vm"
	"snatlab/harness/result"
	"snatlab/harness/scenario"
)

// A guest runs in namespaces with nftables, whatever the scenario names.
func TestAdaptToGuest(t *testing.T) {
	t.Parallel()
	s, err := scenario.Parse("s.yaml", []byte("name: s\ndriver: netns\nnat: iptables\narms: [{name: masquerade}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := AdaptToGuest(s); err != nil || s.Driver != result.DriverNetns || s.NAT != result.NATNFTables {
		t.Errorf("%s, %s, %v", s.Driver, s.NAT, err)
	}
	s, err = scenario.Parse("s.yaml", []byte("name: s\nserver: {address: \"192.0.2.10:20000\"}\narms: [{name: masquerade}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := AdaptToGuest(s); err == nil || !strings.Contains(err.Error(), "a netns lab is closed and reaches no other machine") {
		t.Errorf("a server elsewhere: %v", err)
	}
}

// The result of a guest is input from outside. An error has the console of the guest.
func TestDecodeResult(t *testing.T) {
	t.Parallel()
	_, err := decodeResult(vm.GuestOutput{Result: []byte(`{"schema": "something else"}`), Console: []string{"the end"}})
	if want := (&vm.GuestError{Reason: "the guest's result: schema something else; this snatlab reads snatlab.result/v1", Console: []string{"the end"}}); !reflect.DeepEqual(err, error(want)) {
		t.Errorf("got %v", err)
	}
}
