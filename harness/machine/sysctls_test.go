package machine

import (
	"testing"

	"snatlab/harness/netnstest"
)

// A value that reads otherwise than it was written is refused, and the old one is
// restored.
func TestReplaceSysctlRefuses(t *testing.T) {
	netnstest.Enter(t)
	const name = "net.ipv4.ip_local_reserved_ports"
	if err := WriteSysctl(name, "7"); err != nil {
		t.Fatal(err)
	}
	_, err := ReplaceSysctl(name, "1000,1001")
	const want = `sysctl net.ipv4.ip_local_reserved_ports was set to "1000,1001" and reads "1000-1001" (write it as it reads)`
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
	if got, err := ReadSysctl(name); err != nil || got != "7" {
		t.Errorf("restored to %q, %v", got, err)
	}
}

// A sysctl that is gone needs no restoring.
func TestRestoreGoneSysctl(t *testing.T) {
	t.Parallel()
	if err := RestoreSysctl("net.ipv4.conf.gone.forwarding", "0", "1"); err != nil {
		t.Error(err)
	}
}
