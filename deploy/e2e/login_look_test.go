package e2e

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// screenshots is the variable with the directory for pictures of all pages.
// Without it no pictures are taken.
const screenshots = "E2E_SCREENSHOTS"

// unreadable lists texts with less contrast to their background than WCAG AA
// requires, and elements that are wider than the window.
const unreadable = `(() => {
  const rgb = c => c.match(/[\d.]+/g).map(Number);
  const light = c => {
    const [r, g, b] = rgb(c).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor, [, , , alpha = 1] = rgb(c);
      if (alpha == 1) return c;
    }
    return "rgb(255, 255, 255)";
  };
  const faults = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, s = getComputedStyle(e);
    if (!walk.currentNode.data.trim() || !e.checkVisibility()) continue;
    const [a, b] = [light(s.color), light(behind(e))], ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) faults.push("contrast " + ratio.toFixed(1) + ": " + walk.currentNode.data.trim());
  }
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) faults.push("the page is " + page.scrollWidth + " wide in a window of " + page.clientWidth);
  return faults;
})()`

// look checks how the page looks, in both themes, on a desktop and on a phone,
// and takes pictures of it if requested.
func (s *scene) look(tab *Tab, name string) {
	s.t.Helper()
	grounds := map[string]bool{}
	for _, theme := range []string{"light", "dark"} {
		call(tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
		})
		grounds[ask[string](tab, "getComputedStyle(document.documentElement).backgroundColor")] = true
		for form, width := range map[string]int64{"desk": desk, "phone": phone} {
			tab.resize(width)
			for _, fault := range ask[[]string](tab, unreadable) {
				s.t.Errorf("page %q, %s, %s: %s", name, theme, form, fault)
			}
			s.picture(tab, strings.Join([]string{name, form, theme}, "-"))
		}
	}
	tab.resize(desk)
	if len(grounds) != 2 {
		s.t.Errorf("page %q has the same background in both themes", name)
	}
}

func (s *scene) picture(tab *Tab, name string) {
	s.t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	png, err := chromedp.Run(tab.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".png"), png, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// cookies are those that the browser sends to an address.
func (tab *Tab) cookies(address string) []*network.Cookie {
	tab.t.Helper()
	return call(tab, network.GetCookies, network.GetCookiesParams{URLs: []string{address}}).Cookies
}

func (tab *Tab) forgetCookies() {
	tab.t.Helper()
	call(tab, network.ClearBrowserCookies, cdp.Empty{})
}
