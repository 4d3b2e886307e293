package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Browser starts a headless Chromium that reaches the given host names at the
// given addresses and nothing else, and returns the context of its first tab
// for chromedp. Agent and cloud go by two names: between two ports of one
// name, browsers do not enforce what they enforce between sites.
func Browser(t testing.TB, hosts map[string]string, opts ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("chromium is needed: %v (Debian: apt-get install chromium)", err)
	}
	var rules strings.Builder
	for name, addr := range hosts {
		fmt.Fprintf(&rules, "MAP %s %s, ", name, addr)
	}
	rules.WriteString("MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost")
	all := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // as root in a container there is no other way
		chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()),
		chromedp.WindowSize(1000, 800),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", rules.String()),
	)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(all, opts...)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, patience)
	t.Cleanup(cancel)
	return ctx
}
