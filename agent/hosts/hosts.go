// Package hosts knows which names of hosts mean this machine.
package hosts

import (
	"net/netip"
	"strings"
)

// Loopback reports whether a host, by name or address and without a port, is this
// machine: localhost, a name below it (RFC 6761), or a loopback address, in brackets
// or not.
func Loopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.Unmap().IsLoopback()
}
