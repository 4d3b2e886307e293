package main

import (
	"fmt"
	"runtime/debug"
)

// build describes the running binary.
type build struct {
	version, commit, goVersion string
}

func (b build) String() string {
	return fmt.Sprintf("%s (commit %s, %s)", b.version, b.commit, b.goVersion)
}

// readBuild reads what the Go toolchain wrote into the binary: in a clone, the
// tag of the commit, or the date and name of one without a tag. Other source
// trees do not know their version.
func readBuild() build {
	b := build{version: "devel", commit: "unknown", goVersion: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.goVersion = info.GoVersion
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.commit = s.Value
		}
	}
	return b
}
