package scenario

import (
	"fmt"
	"testing"

	"snatlab/harness/result"
)

func TestDNAT(t *testing.T) {
	t.Parallel()
	const netns = "name: s\ndriver: netns\narms: [{name: a}]\n"
	if s := parse(t, netns+"dnat: {backends: 16}\n"); s.DNAT.Backends != 16 {
		t.Errorf("%+v", s.DNAT)
	}
	for data, want := range map[string]string{
		netns + "dnat: {}\n":             "x.yaml:4:7: backends: is missing; allowed: 1 to 16",
		netns + "dnat: {backends: 0}\n":  "x.yaml:4:18: backends: 0 is out of range; allowed: 1 to 16",
		netns + "dnat: {backends: 17}\n": "x.yaml:4:18: backends: 17 is out of range; allowed: 1 to 16",
		"name: s\nserver: {address: 192.0.2.7:9000}\narms: [{name: a}]\ndnat: {backends: 1}\n":                "x.yaml:4:1: dnat: its backends are addresses of the lab's own server, and the server is on another machine; allowed with a server of the lab's own",
		"name: s\ndriver: kubernetes\narms: [{name: a}]\ndnat: {backends: 2}\n":                               "x.yaml:4:8: backends: the Service of a kubernetes lab has one backend; more are allowed with drivers docker and netns",
		"name: s\ndriver: netns\narms: [{name: a, snat: {to_source: [198.18.1.4]}}]\ndnat: {backends: 3}\n":   "x.yaml:3:37: to_source: 198.18.1.4 is the address of a backend in a netns lab; allowed: other addresses, like 198.19.0.1",
		"name: s\ndriver: netns\narms: [{name: a, snat: {to_source: [198.18.1.254]}}]\ndnat: {backends: 1}\n": "x.yaml:3:37: to_source: 198.18.1.254 is the address of the service in a netns lab; allowed: other addresses, like 198.19.0.1",
	} {
		checkRefused(t, data, want)
	}
	s := parse(t, netns+"dnat: {backends: 2}\n")
	if err := s.SetDriver(result.DriverKubernetes); fmt.Sprint(err) != "driver kubernetes: backends: the Service of a kubernetes lab has one backend; more are allowed with drivers docker and netns" {
		t.Errorf("error %v", err)
	}
}
