package scenario

import (
	"fmt"

	"gopkg.in/yaml.v3"

	"snatlab/harness/scenario/limits"
	"snatlab/harness/scenario/strictyaml"
)

// driverFault is a place in the file with a setting that a driver does not support.
type driverFault struct {
	at      *yaml.Node
	message string
}

// driverFaults returns the faults that depend on more than one key.
func driverFaults(s *Scenario, driver string, root *yaml.Node) []driverFault {
	return append(findGlobalSettings(driver, root), findTakenSources(s, driver, root)...)
}

// checkLimits refuses settings that the driver of the file does not support.
func (c checker) checkLimits(s *Scenario, root *yaml.Node) {
	driver := s.Driver
	for _, l := range limits.Of[driver] {
		for _, p := range l.FindBeyond(root) {
			if c.IsSound(p.Value) && c.IsSound(l.Unless.FindAlong(root)...) {
				c.AddFault(p.Key, l.Message)
			}
		}
	}
	for _, b := range driverFaults(s, driver, root) {
		if c.IsSound(b.at) {
			c.AddFault(b.at, b.message)
		}
	}
}

// SetDriver replaces the driver of the file, for a flag of the command line. If the
// file does not set nat, NAT becomes the driver's default. A setting that the driver
// does not support is an error with the same text as the fault of a file, without
// its place. On an error the scenario is unchanged.
func (s *Scenario) SetDriver(driver string) error {
	changed := *s
	if err := changed.setField("driver", driver); err != nil {
		return err
	}
	if !s.natWritten {
		changed.NAT = DefaultNAT(driver)
	}
	root := strictyaml.Mapping{Fields: scenarioFields(&changed)}.MakeNode()
	for _, l := range limits.Of[driver] {
		if len(l.FindBeyond(root)) > 0 {
			return fmt.Errorf("driver %s: %s", driver, l.Message)
		}
	}
	if all := driverFaults(&changed, driver, root); len(all) > 0 {
		return fmt.Errorf("driver %s: %s", driver, all[0].message)
	}
	*s = changed
	return nil
}
