// Package images holds the Dockerfiles of the images that snatlab builds.
package images

import _ "embed"

// ProbeDockerfile is the Dockerfile of the probe image. Its build context must contain
// the static binary, named snatlab.
//
//go:embed probe/Dockerfile
var ProbeDockerfile []byte
