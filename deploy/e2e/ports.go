package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports are below 32768, because Linux takes ports for outgoing connections
// from above, and are allocated in blocks. A block belongs to the process that
// listens on its first port, so that no two test processes use the same port.
// Asking the kernel for a free port and closing it again would work only
// usually.
const (
	firstPort = 20000
	blockSize = 100
	blocks    = 120
)

var ports struct {
	sync.Mutex
	lock      net.Listener // holds the block for the life of the process
	next, end int
}

// FreePort returns a loopback port that no other test uses.
func FreePort(t testing.TB) int {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for range blocks * blockSize {
		if ports.next == ports.end {
			takeBlock()
		}
		port := ports.next
		ports.next++
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatalf("no free port on 127.0.0.1 from %d to %d", firstPort, firstPort+blocks*blockSize)
	return 0
}

// FreeAddr is FreePort as a host and port on 127.0.0.1.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", FreePort(t))
}

// takeBlock switches to another block, if one is free.
func takeBlock() {
	for range blocks {
		start := firstPort + rand.IntN(blocks)*blockSize
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", start)); err == nil {
			if ports.lock != nil {
				ports.lock.Close()
			}
			ports.lock, ports.next, ports.end = l, start+1, start+blockSize
			return
		}
	}
}
