package kernel

import (
	"os"
	"strings"
	"testing"
)

// The script of docs/bisect.md enables the option of each module that a guest needs.
func TestBisectScript(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/bisect.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range GuestModules {
		option := strings.TrimPrefix(configOptions[module], "CONFIG_")
		if option == "" || !strings.Contains(string(text), " -e "+option+" ") && !strings.Contains(string(text), "\t-e "+option+" ") {
			t.Errorf("docs/bisect.md does not enable %s, of %s", option, module)
		}
	}
}
