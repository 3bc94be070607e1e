// Package images holds the Dockerfiles of the images that snatlab builds for itself.
package images

import _ "embed"

// ProbeDockerfile is the Dockerfile of the probe image. Its build context must hold the
// static binary under the name snatlab.
//
//go:embed probe/Dockerfile
var ProbeDockerfile []byte
