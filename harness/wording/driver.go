package wording

// Driver names what built a lab, "netns (rootless)".
func Driver(name string, rootless bool) string {
	if rootless {
		return name + " (rootless)"
	}
	return name
}
