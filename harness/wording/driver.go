package wording

// DriverName returns the name of a driver and its privilege, "netns (rootless)".
func DriverName(name string, rootless bool) string {
	if rootless {
		return name + " (rootless)"
	}
	return name
}
