package result

import "testing"

// The family of a lab is that of its clients' network.
func TestFamily(t *testing.T) {
	t.Parallel()
	for network, want := range map[string]string{"198.18.0.0/24": IPv4, "2001:2:0:1::/64": IPv6, "": IPv4} {
		if got := (Env{ClientNetwork: network}).Family(); got != want {
			t.Errorf("%q: %s", network, got)
		}
	}
}
