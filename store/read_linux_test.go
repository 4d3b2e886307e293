package store_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"netatmo-agent/store"
)

// Files in /proc have a size of zero, like a file that grows after its size was
// checked. This one has some hundred bytes for each mapping of memory.
func TestReadFileLimitsWhatItReads(t *testing.T) {
	page, pages := os.Getpagesize(), 4000
	mem, err := syscall.Mmap(-1, 0, pages*page, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Munmap(mem) })
	for i := 0; i < pages; i += 2 { // neighbours that differ are mappings of their own
		if err := syscall.Mprotect(mem[i*page:(i+1)*page], syscall.PROT_READ); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.ReadFile("/proc/self/smaps"); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Error(err)
	}
}
