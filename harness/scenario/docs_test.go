package scenario

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// docs/scenario.md has every key of every mapping.
func TestDocsHaveKeys(t *testing.T) {
	text, err := os.ReadFile("../../docs/scenario.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range slices.Concat(
		scenarioFields(new(Scenario)), serverFields(new(ServerSettings)), labFields(new(Scenario)), kubernetesFields(new(KubernetesSettings)), untilFields(new(Until)), loadFields(new(LoadSettings)),
		armFields(new(Arm)), masqueradeFields(new(MasqueradeOptions)), snatFields(new(SNATOptions)), sysctlsFields(new(Sysctls)),
		expectFields(new(Expect)),
	) {
		if !regexp.MustCompile("`[^`\n]*\\b" + field.Key + "\\b[^`\n]*`").Match(text) {
			t.Errorf("docs/scenario.md does not have the key %s", field.Key)
		}
	}
}
