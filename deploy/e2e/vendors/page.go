// Package vendors holds the table of OTLP backends: the guides in deploy/backends
// are written from it, and the tests run the agent with its settings against a
// server that behaves as the vendor documents.
package vendors

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// Page writes the guide of a backend.
func (b Backend) Page(w io.Writer) error {
	var p strings.Builder
	fmt.Fprintf(&p, "# %s\n\n", b.Name)
	if b.Collector != "" {
		fmt.Fprintf(&p, "A Collector with [%[1]s](../collector/%[1]s) forwards the agent's metrics:\n\n```sh\notelcol-contrib --config deploy/collector/%[1]s\n```\n\nThe agent's settings:\n\n", b.Collector)
	}
	p.WriteString("```sh\n")
	for _, s := range b.Settings {
		fmt.Fprintf(&p, "export %s=%q\n", s.Name, s.Value)
	}
	if b.InFile != nil {
		fmt.Fprintf(&p, "(umask 077; printf '%%s\\n' '%s' > \"$HOME/otlp-headers\")\n", strings.Join(b.InFile, "' '"))
		fmt.Fprintf(&p, "export %s=\"$HOME/otlp-headers\"\n", headersFile)
	}
	p.WriteString("netatmo-agent check --offline\n```\n\n")
	if b.Key != "" {
		p.WriteString("Replace the made-up key with yours. ")
	}
	p.WriteString("`netatmo-agent check` without `--offline` pushes one point.\n\n")
	for _, sentence := range b.Expect {
		fmt.Fprintf(&p, "- %s\n", sentence)
	}
	fmt.Fprintf(&p, "- Limits: %s.\n\n**See the data.** %s\n\n**Tests.** %s\n", b.Limits(), b.See, b.Tested())
	_, err := io.WriteString(w, p.String())
	return err
}

// Limits returns what limits requests.
func (b Backend) Limits() string {
	if b.Server == nil || b.Server.Most == 0 {
		return "none known; the agent's requests have at most about 256 kB"
	}
	return fmt.Sprintf("a request may have %s; the agent's have at most about 256 kB", size(b.Server.Most))
}

func size(n int) string {
	switch {
	case n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n%1_000_000 == 0:
		return fmt.Sprintf("%d MB", n/1_000_000)
	}
	return fmt.Sprintf("%d kB", n/1000)
}

// Transport returns the transports that the backend has, the one that the settings
// select first.
func (b Backend) Transport() string {
	switch {
	case b.Server == nil:
		return "through a Collector"
	case b.Server.GRPC && b.Server.HTTP:
		return "gRPC, HTTP"
	case b.Server.GRPC:
		return "gRPC"
	}
	return "HTTP"
}

// Tested returns how the settings were tested.
func (b Backend) Tested() string {
	s := b.Server
	if s == nil {
		return "The Collector itself accepts the configuration (`validate`), and the agent pushes to it. The vendor's side is not tested."
	}
	var what []string
	if len(s.Headers) > 0 {
		what = append(what, "requires the header "+strings.Join(slices.Sorted(maps.Keys(s.Headers)), " and "))
	}
	if s.Delta {
		what = append(what, "refuses cumulative counters")
	}
	if s.Most > 0 {
		what = append(what, "refuses requests of more than "+size(s.Most))
	}
	if s.Resource != nil {
		what = append(what, "requires the resource attributes "+strings.Join(s.Resource, " and "))
	}
	text := "These settings were tested with live values, a day of history and a wrong key, against a server that behaves as the vendor documents"
	if b.Key == "" || len(s.Headers) == 0 {
		text = "These settings were tested with live values and a day of history, against a server that behaves as the vendor documents"
	}
	if len(what) > 0 {
		text += ": it " + strings.Join(what, ", ")
	}
	return text + ". They were not tested against the vendor's own servers."
}

// tried are the backends whose guides are in deploy/ and not generated.
const tried = `| [OpenTelemetry Collector](collector.md) | gRPC, HTTP | either | the real server |
| [Prometheus](prometheus.md) | HTTP | cumulative | the real server, with and without an out-of-order window |
| [VictoriaMetrics](victoriametrics.md) | HTTP | cumulative | the real server |
| [Grafana Cloud](grafana-cloud.md) | HTTP | cumulative | a gateway with its path and credentials in front of a real Prometheus |
`

// Index writes the table of all backends.
func Index(w io.Writer) error {
	var p strings.Builder
	p.WriteString("# Backends\n\nThe agent pushes to any backend that accepts OTLP. These have a guide, with the variables to set:\n\n")
	p.WriteString("| backend | transport | counters | tested against |\n|---|---|---|---|\n" + tried)
	for _, b := range Backends {
		counters, against := "either", "a server that behaves as documented"
		switch {
		case b.Server == nil:
			against = "a real Collector, with the configuration of the guide"
		case b.Server.Delta:
			counters = "delta only"
		}
		fmt.Fprintf(&p, "| [%s](backends/%s.md) | %s | %s | %s |\n", b.Name, b.File, b.Transport(), counters, against)
	}
	p.WriteString(`
All readings are gauges; the column *counters* is about the agent's own counters, such as ` + "`netatmo.agent.push.points`" + `. For any other backend, look up
the OTLP endpoint and the header in its documentation; ` + "`netatmo-agent check`" + ` then says what is wrong, if anything. [timestamps.md](timestamps.md) explains when to
push every measurement with its own time, and [opentelemetry.md](opentelemetry.md) what each variable does.
`)
	_, err := io.WriteString(w, p.String())
	return err
}
