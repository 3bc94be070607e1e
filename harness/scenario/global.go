package scenario

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"snatlab/harness/result"
	"snatlab/harness/scenario/strictyaml"
	"snatlab/harness/scenario/sysctl"
)

// namespacedParts are the parts of each driver's lab that are not in the machine's
// first network namespace.
var namespacedParts = map[string][]string{
	result.DriverDocker: {"server", "clients"},
	result.DriverNetns:  {"router", "server", "clients"},
}

// findGlobalSettings returns the sysctls under root that a driver cannot set because
// they belong to the whole machine.
func findGlobalSettings(driver string, root *yaml.Node) (found []driverFault) {
	for _, part := range namespacedParts[driver] {
		for _, p := range (strictyaml.Path{"arms", "sysctls", part}).FindPairs(root) {
			if p.Value.Kind != yaml.MappingNode {
				continue
			}
			for i := 0; i < len(p.Value.Content); i += 2 {
				if key := p.Value.Content[i]; sysctl.IsGlobal(key.Value) {
					found = append(found, driverFault{key, fmt.Sprintf(
						"%s: belongs to the whole machine, and sysctls.%s of a %s lab are those of a network namespace; allowed in sysctls.router of a docker lab, which are the host's, with lab: {allow_host_sysctls: true}",
						key.Value, part, driver)})
				}
			}
		}
	}
	return found
}
