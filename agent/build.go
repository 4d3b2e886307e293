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

// readBuild reads what the Go toolchain wrote into the binary. Built in a clone,
// the version is the commit's tag or pseudo-version; elsewhere it is unknown.
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
