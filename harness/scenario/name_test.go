package scenario

import (
	"os"
	"path/filepath"
	"testing"

	"snatlab/harness/result"
)

func TestNameOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ claim, text, name, driver string }{
		{"valid", "name: a\ndriver: netns\narms: [{name: b}]", "a", "netns"},
		{"default_driver", "name: a", "a", result.DriverDocker},
		{"other_faults", "name: a\nrounds: many\narms: {}", "a", result.DriverDocker},
		{"unknown_driver", "name: a\ndriver: xen", "a", ""},
		{"impossible_name", "name: ../A\ndriver: docker", "", result.DriverDocker},
		{"no_name", "driver: netns", "", "netns"},
		{"list", "[a]", "", ""},
		{"empty", "", "", ""},
		{"torn", "name: [a", "", ""},
		{"two_documents", "name: a\n---\nname: b", "", ""},
	} {
		t.Run(tc.claim, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.yaml")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if name, driver := NameOf(path); name != tc.name || driver != tc.driver {
				t.Errorf("got %q, %q, want %q, %q", name, driver, tc.name, tc.driver)
			}
		})
	}
	if name, driver := NameOf("missing.yaml"); name != "" || driver != "" {
		t.Errorf("missing: %q, %q", name, driver)
	}
}
