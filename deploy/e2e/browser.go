package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Browser is a headless Chromium that resolves every host below .test, and
// loopback, to this machine, and no other host. Agent and cloud have two
// different names, because browsers do not enforce between two ports of one
// name, or on loopback, what they enforce between sites. Certificates need not
// be valid.
type Browser struct{ ctx context.Context }

// NewBrowser starts a browser that ends with the test.
func NewBrowser(t testing.TB) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatalf("chromium is needed: %v (Debian: apt-get install chromium)", err)
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // required for root in a container
		chromedp.DisableGPU,
		chromedp.IgnoreCertErrors,
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	)...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return &Browser{ctx}
}

// Tab is a tab of a browser. It records what it sent, what it received and what
// the browser reported. It is for one goroutine.
type Tab struct {
	t     testing.TB
	ctx   context.Context
	shown []Shown

	mu         sync.Mutex // the browser's events arrive on another goroutine
	requests   []*network.Request
	responses  []*network.Response
	complaints []string
}

// Tab opens a tab with separate cookies, like another browser.
func (b *Browser) Tab(t testing.TB) *Tab {
	t.Helper()
	return openTab(b.ctx, t, chromedp.WithNewBrowserContext())
}

// Another opens a second tab of the same browser, with the same cookies.
func (tab *Tab) Another() *Tab {
	tab.t.Helper()
	return openTab(tab.ctx, tab.t)
}

// reportViolations writes violations of a page's policy to the console, even
// those that the browser does not report itself.
const reportViolations = `document.addEventListener("securitypolicyviolation",
	e => console.error("policy violated:", e.effectiveDirective, e.blockedURI))`

func openTab(parent context.Context, t testing.TB, opts ...chromedp.ContextOption) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, opts...)
	t.Cleanup(cancel)
	tab := &Tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, tab.note); err != nil {
		t.Fatalf("open a tab: %v", err)
	}
	tab.resize(desk)
	call(tab, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: reportViolations})
	return tab
}

// Widths of windows, in CSS pixels.
const (
	desk  = 1000
	phone = 390
)

// resize sets the width of the window. If an emulated size were reset instead,
// it would be random when the window notices, and where a click lands.
func (tab *Tab) resize(width int64) {
	tab.t.Helper()
	tab.do("resize", chromedp.EmulateViewport(width, 844))
}

func (tab *Tab) note(ev any) {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		tab.requests = append(tab.requests, ev.Request)
		if ev.RedirectResponse != nil {
			tab.responses = append(tab.responses, ev.RedirectResponse)
		}
	case *network.EventResponseReceived:
		tab.responses = append(tab.responses, ev.Response)
	case *log.EventEntryAdded:
		tab.complaints = append(tab.complaints, fmt.Sprintf("%s %s: %s (%s)", ev.Entry.Source, ev.Entry.Level, ev.Entry.Text, ev.Entry.URL))
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, arg := range ev.Args {
			words = append(words, string(arg.Value))
		}
		tab.complaints = append(tab.complaints, fmt.Sprintf("console %s: %s", ev.Type, strings.Join(words, " ")))
	case *runtime.EventExceptionThrown:
		tab.complaints = append(tab.complaints, "exception: "+ev.ExceptionDetails.Text)
	}
}

// Complained reports whether the browser has reported something with this text.
func (tab *Tab) Complained(of string) bool {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return slices.ContainsFunc(tab.complaints, func(c string) bool { return strings.Contains(c, of) })
}

// Shown is a page as displayed in a tab.
type Shown struct {
	URL    *url.URL
	Status int
	Text   string // what a reader sees
	Source string
}

// Open goes to an address, as if it were typed.
func (tab *Tab) Open(address string) Shown {
	tab.t.Helper()
	return tab.show("open "+address, chromedp.NavigateResponse(address))
}

// Reload reloads the page.
func (tab *Tab) Reload() Shown {
	tab.t.Helper()
	return tab.show("reload", func(ctx context.Context, _ *chromedp.Target) (*network.Response, error) {
		return chromedp.RunResponse(ctx, chromedp.Reload())
	})
}

// Press clicks on the element that a selector finds, and waits for the page
// that follows.
func (tab *Tab) Press(selector string) Shown {
	tab.t.Helper()
	return tab.show("press "+selector, func(ctx context.Context, _ *chromedp.Target) (*network.Response, error) {
		return chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
	})
}

// PressInVain clicks on an element that leads to an address that the browser
// cannot reach, and returns that address.
func (tab *Tab) PressInVain(selector string) string {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector))); !errors.Is(err, chromedp.ErrPageLoad) {
		tab.t.Fatalf("press %s: %v, want a page that cannot be reached", selector, err)
	}
	return tab.address()
}

// Paste enters a text into a field, as from the clipboard.
func (tab *Tab) Paste(selector, text string) {
	tab.t.Helper()
	tab.do("paste into "+selector, chromedp.Focus(chromedp.CSS(selector)))
	call(tab, input.InsertText, input.InsertTextParams{Text: text})
}

// Count returns how many elements of the page a selector finds.
func (tab *Tab) Count(selector string) int {
	tab.t.Helper()
	return ask[int](tab, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// show runs an action that leads to another page, and reads that page.
func (tab *Tab) show(what string, way chromedp.Action[*network.Response]) Shown {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	response, err := chromedp.Run(ctx, way)
	if err != nil {
		tab.t.Fatalf("%s: %v; on the screen is %s", what, err, tab.address())
	}
	at, err := url.Parse(response.URL)
	if err != nil {
		tab.t.Fatal(err)
	}
	shown := Shown{
		URL: at, Status: int(response.Status),
		Text:   ask[string](tab, "document.body.innerText"),
		Source: ask[string](tab, "document.documentElement.outerHTML"),
	}
	tab.shown = append(tab.shown, shown)
	return shown
}

// address returns the text of the address bar, also if the page is an error.
func (tab *Tab) address() string {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	history, err := chromedp.Run(ctx, chromedp.NavigationEntries())
	if err != nil {
		tab.t.Fatalf("read the address bar: %v", err)
	}
	return history.Entries[history.CurrentIndex].URL
}

// do runs steps that do not lead to another page.
func (tab *Tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		tab.t.Fatalf("%s: %v; on the screen is %s", what, err, tab.address())
	}
}

// call sends a command of the DevTools protocol.
func call[P, R any](tab *Tab, command cdp.Command[P, R], params P) R {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		tab.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// ask evaluates a script independently of the page's policy.
func ask[T any](tab *Tab, script string) T {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, patience)
	defer cancel()
	answer, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		tab.t.Fatalf("ask the page for %s: %v", script, err)
	}
	return answer
}
