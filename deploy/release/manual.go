package main

import (
	"fmt"
	"strings"
	"time"
)

// manual returns the page in mdoc(7) format.
func manual(day time.Time, commands []command, settings []row) string {
	var p page
	p.add(".Dd %s", day.Format("January 2, 2006"))
	p.add(".Dt NETATMO-AGENT 1\n.Os")
	p.add(".Sh NAME\n.Nm netatmo-agent\n.Nd Netatmo readings as OpenTelemetry metrics")
	p.add(".Sh SYNOPSIS\n.Nm\n.Op Ar command\n.Op Ar flags")
	p.add(".Sh DESCRIPTION")
	p.text("netatmo-agent reads Netatmo weather stations, home coaches and the devices of a home, and pushes their readings over OTLP. " +
		"Without a command it runs the agent. netatmo-agent demo shows it at work without an account.")
	p.add(".Sh COMMANDS\n.Bl -tag -width Ds")
	for _, c := range commands {
		p.add(".It Nm netatmo-agent Cm %s", c.name)
		p.text(c.short + ".")
	}
	p.add(".El")
	p.add(".Sh ENVIRONMENT")
	p.text("Each setting is a variable. Most have a flag as well, which wins. A variable marked * also has a form for metrics alone, such as OTEL_EXPORTER_OTLP_METRICS_ENDPOINT.")
	p.add(".Bl -tag -width Ds")
	for _, s := range settings {
		name, mark, _ := strings.Cut(s.name, " ")
		p.add(".It Ev %s", strings.TrimSpace(escape(name)+" "+mark))
		p.text(strings.TrimSuffix(s.meaning, ".") + ".")
		if s.flag != "" {
			p.text("Flag: " + s.flag + ".")
		}
		if s.fallback != "" {
			p.text("Default: " + s.fallback + ".")
		}
	}
	p.add(".El")
	p.files()
	p.exits()
	p.add(".Sh COMMANDS IN DETAIL")
	for _, c := range commands {
		p.add(".Ss netatmo-agent %s\n.Bd -literal", c.name)
		for line := range strings.SplitSeq(strings.TrimSpace(c.help), "\n") {
			p.add("%s", escape(line))
		}
		p.add(".Ed")
	}
	p.add(".Sh SEE ALSO\n.Xr systemctl 1 ,\n.Xr systemd-run 1")
	return p.String()
}

func (p *page) files() {
	p.add(".Sh FILES\n.Bl -tag -width Ds")
	for _, f := range [][2]string{
		{"/etc/netatmo-agent/NAME.env", "settings of the instance netatmo-agent@NAME, one NAME=value a line"},
		{"/etc/netatmo-agent/NAME.secret", "its client secret, mode 0600"},
		{"/var/lib/netatmo-agent/NAME/token.json", "its login; every renewal replaces it, so a copy is soon worthless"},
		{"/var/lib/netatmo-agent/NAME/state.json", "what the backend has acknowledged; without it, a gap is not filled"},
		{"~/.local/state/netatmo-agent/", "the same files of an agent that a user runs by hand"},
	} {
		p.add(".It Pa %s", escape(f[0]))
		p.text(f[1] + ".")
	}
	p.add(".El")
}

func (p *page) exits() {
	p.add(".Sh EXIT STATUS\n.Bl -tag -width Ds")
	for _, e := range [][2]string{
		{"0", "Success, also after a signal to stop"},
		{"1", "Failure, or a signal before check or backfill was done"},
		{"2", "Wrong usage or wrong settings"},
		{"3", "check finds that you have to log in"},
	} {
		p.add(".It %s", e[0])
		p.text(e[1] + ".")
	}
	p.add(".El")
}

// page collects lines.
type page struct{ strings.Builder }

func (p *page) add(format string, args ...any) {
	fmt.Fprintf(p, format+"\n", args...)
}

// text adds a paragraph with one sentence per line, as mdoc requires.
func (p *page) text(s string) {
	for sentence := range strings.SplitSeq(s, ". ") {
		line := strings.TrimSpace(sentence)
		if !strings.HasSuffix(line, ".") {
			line += "."
		}
		p.add("%s", escape(line))
	}
}

// escape escapes what roff would interpret.
func escape(line string) string {
	line = strings.NewReplacer(`\`, `\e`, "-", `\-`, "—", `\(em`, "…", "...", "→", `\(->`, "−", `\-`).Replace(line)
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		line = `\&` + line
	}
	return line
}
