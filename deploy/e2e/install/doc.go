// Package install tests what deploy/release builds: that two builds are
// identical, what they contain, and that they install, upgrade and remove on a
// real Debian, in a root that debootstrap makes once and the cache keeps.
//
// Its tests need root, and the programs that .ci/run installs.
package install
