package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// unknownVersion is the version of a build without a stamp and without information
// from Go's toolchain.
const unknownVersion = "dev"

// version is set by the Makefile's build. In other builds it is the version that Go's
// toolchain recorded.
var version = unknownVersion

func init() {
	if info, ok := debug.ReadBuildInfo(); ok && version == unknownVersion {
		version = versionOf(info)
	}
}

// versionOf returns the version of the module that a program was built from. If there
// is none it returns the commit, with "-dirty" if files differed from it.
func versionOf(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	vcs := map[string]string{}
	for _, s := range info.Settings {
		vcs[s.Key] = s.Value
	}
	commit := vcs["vcs.revision"]
	switch {
	case commit == "":
		return unknownVersion
	case vcs["vcs.modified"] == "true":
		return commit[:min(len(commit), 12)] + "-dirty"
	default:
		return commit[:min(len(commit), 12)]
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Run: func(*cobra.Command, []string) {
			fmt.Printf("snatlab %s %s/%s %s\n", version, runtime.GOOS, runtime.GOARCH, runtime.Version())
		},
	}
}
