// Package images holds the build recipes of the container images that snatlab
// builds for itself.
package images

import _ "embed"

// ProbeDockerfile builds the probe image from a folder that holds the static
// binary under the name snatlab.
//
//go:embed probe/Dockerfile
var ProbeDockerfile []byte
