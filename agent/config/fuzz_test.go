package config

import (
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzHeaders: accepted headers can be sent, and headers encoded as
// OpenTelemetry specifies are decoded unchanged.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{"", "Authorization=Basic%20YTpi", "Authorization: Basic YTpi==", `"a=b"`, `a="b",c='d'`, "a=%zz", "a=b,c", ",=,", "a=%0A", "'", `"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		headers, faults := parseHeaders(text)
		var b strings.Builder
		for name, value := range headers {
			if !headerName.MatchString(name) || name != strings.ToLower(name) || value == "" || !printable(value.Reveal()) || strings.TrimSpace(value.Reveal()) != value.Reveal() {
				t.Errorf("%q gave %q: %q", text, name, value.Reveal())
			}
			b.WriteString(name + "=" + encoded(value.Reveal()) + ",")
		}
		for _, fault := range faults {
			if fault.What == "" || fault.Remedy == "" {
				t.Errorf("%q: a fault without a text: %+v", text, fault)
			}
		}
		if again, faults := parseHeaders(b.String()); faults != nil || !maps.Equal(again, headers) {
			t.Errorf("%q: %q was not decoded: %v", text, b.String(), faults)
		}
		for name, value := range headers {
			if _, err := ParseHeaderFile(strings.NewReader(name + ": " + value.Reveal())); err != nil && bare(value.Reveal()) == value.Reveal() {
				t.Errorf("%q is not accepted in a file: %v", name, err)
			}
		}
	})
}

// encoded writes every byte as an escape.
func encoded(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteByte('%')
		b.WriteByte("0123456789ABCDEF"[s[i]>>4])
		b.WriteByte("0123456789ABCDEF"[s[i]&15])
	}
	return b.String()
}

func FuzzHeaderFile(f *testing.F) {
	for _, seed := range []string{"", "A: b", "A: b\r\n#c\n\nD:e", ":", "A:", "\uFEFFA: b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		headers, err := ParseHeaderFile(strings.NewReader(text))
		if (err == nil) != (len(headers) > 0) {
			t.Errorf("%q: %d headers, %v", text, len(headers), err)
		}
		for name, value := range headers {
			if !headerName.MatchString(name) || value == "" || !printable(value.Reveal()) {
				t.Errorf("%q gave %q: %q", text, name, value.Reveal())
			}
		}
	})
}

func FuzzResourceAttributes(f *testing.F) {
	for _, seed := range []string{"", "a=b", "service.name=x,service.instance.id=%20", "a=%ff", "=", "a", "a=b=c,d=\"e\"", "\xff=a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := &loader{}
		var p Push
		l.resource(&p, variable{}, variable{Setting: new(Setting), text: text})
		if p.ServiceName == "" {
			t.Errorf("%q: no service name", text)
		}
		for key, value := range p.Attributes {
			if key == "" || !utf8.ValidString(key+value) || key == "service.name" {
				t.Errorf("%q gave %q=%q", text, key, value)
			}
		}
		if strings.TrimSpace(text) == "" && l.problems != nil {
			t.Errorf("%q: %v", text, l.problems)
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"", "0", "7d", "1d12h", "300", "-1h", "106751d24h", "2540400h10m10.000000000s"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := ParseDuration(text); err == nil && d < 0 {
			t.Errorf("%q gave %v", text, d)
		}
	})
}

func FuzzMountinfo(f *testing.F) {
	f.Add(overlayRoot+namedVolume, "/var/lib/netatmo-agent/token.json")
	f.Add(diskRoot+blankInName, "/my data/x")
	f.Add(" - ", "")
	f.Fuzz(func(t *testing.T, mountinfo, path string) {
		m := mountOf(mountinfo, path)
		if !strings.HasPrefix(path, m.point) && m.point != "/" {
			t.Errorf("%q is said to be under %q", path, m.point)
		}
		fate(m)
	})
}
