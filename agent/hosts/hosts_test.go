package hosts_test

import (
	"testing"

	"netatmo-agent/agent/hosts"
)

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LOCALHOST": true, "localhost.": true, "agent.localhost": true,
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "[::1]": true, "::ffff:127.0.0.1": true,
		"": false, "notlocalhost": false, "localhost.example.com": false, "128.0.0.1": false, "0.0.0.0": false, "::2": false, "fe80::1%lo": false,
	} {
		if got := hosts.Loopback(host); got != want {
			t.Errorf("%q: %t", host, got)
		}
	}
}
