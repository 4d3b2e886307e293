package e2e

import (
	"net"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// The promise of the README: open the link, press two buttons, done.
func TestLoginInABrowser(t *testing.T) {
	t.Parallel()
	cloud := NewCloud(t, fast)
	collector := NewCollector(t).Start()
	agent := NewAgent(t, cloud.Env().With(toCollector(collector, "grpc")))
	addr := agent.Env["NETATMO_LISTEN_ADDR"]
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	// A name of its own: on loopback, browsers trust pages that they would not
	// trust elsewhere.
	agent.Env["NETATMO_EXTERNAL_URL"] = "http://agent.test:" + port
	agent.Start()
	link := agent.LoginLink().String()

	ctx := Browser(t, map[string]string{"agent.test": "127.0.0.1"})
	err = chromedp.Do(ctx,
		chromedp.Navigate(link),
		chromedp.Click(chromedp.CSS(`form[action$="auth/authorize"] button`)),
		chromedp.WaitVisible(chromedp.CSS(`button[value=accept]`)),
		chromedp.Click(chromedp.CSS(`button[value=accept]`)),
		chromedp.WaitVisible(chromedp.CSS(`main .tick`)),
	)
	if err != nil {
		t.Fatal(err)
	}
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("main")))
	if err != nil || !strings.Contains(text, "You are logged in") {
		t.Errorf("the page says %q (%v), want that the login is done", text, err)
	}
	agent.Eventually("pushes readings", func() bool { return hasReadings(collector.Points()) })

	// A working login has nothing to press.
	if err := chromedp.Do(ctx, chromedp.Navigate(link)); err != nil {
		t.Fatal(err)
	}
	buttons, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.querySelectorAll("button, input, form").length`))
	if err != nil || buttons != 0 {
		t.Errorf("%d things to press with a working login (%v), want none", buttons, err)
	}
	checkNoSecrets(t, cloud, agent)
}
