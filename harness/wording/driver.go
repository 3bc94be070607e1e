package wording

// DriverName names what built a lab, "netns (rootless)".
func DriverName(name string, rootless bool) string {
	if rootless {
		return name + " (rootless)"
	}
	return name
}
