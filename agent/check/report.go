package check

import (
	"encoding/json"
	"fmt"
	"io"

	"netatmo-agent/agent/humanize"
	"netatmo-agent/agent/terminal"
)

// Finding is one result of the examination.
type Finding struct {
	Area  string `json:"area"`
	Level Level  `json:"level"`
	Text  string `json:"text"` // a sentence
	Next  string `json:"next"` // what to do about it; may be empty
}

// Level is a finding's severity.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

var colours = map[Level]string{OK: "32", Warn: "33", Fail: "31"}

// Verdict summarises the findings.
type Verdict int

// The verdicts, the most urgent last.
const (
	Fine        Verdict = iota // nothing failed
	Failed                     // something failed
	LoginNeeded                // and a login fixes it
	Misset                     // and a change of settings fixes it
)

// Output says where to write the findings, and in which form.
type Output struct {
	Out    io.Writer
	Err    io.Writer // for messages that cannot wait
	JSON   bool      // one array of Finding at the end, instead of text
	Colour bool
	Width  int // of the terminal; 0: do not wrap
}

// report collects findings, and prints each at once if the output is text.
type report struct {
	Output
	findings []Finding
	wrong    bool // a setting cannot be used
	login    bool // a login is needed
}

func newReport(o Output) *report { return &report{Output: o, findings: []Finding{}} }

func (r *report) add(f Finding) {
	r.findings = append(r.findings, f)
	if !r.JSON {
		r.show(f)
	}
}

func (r *report) ok(area, text string) { r.add(Finding{area, OK, text, ""}) }

// okNext is ok with something left to do.
func (r *report) okNext(area, text, next string) { r.add(Finding{area, OK, text, next}) }

func (r *report) warn(area, text, next string) { r.add(Finding{area, Warn, text, next}) }

func (r *report) fail(area, text, next string) { r.add(Finding{area, Fail, text, next}) }

// misset is fail for a fault that a change of settings fixes.
func (r *report) misset(area, text, next string) {
	r.wrong = true
	r.fail(area, text, next)
}

// loggedOut is fail for a fault that a login fixes.
func (r *report) loggedOut(area, text, next string) {
	r.login = true
	r.fail(area, text, next)
}

const textColumn = 17 // where the sentence of a finding begins

func (r *report) show(f Finding) {
	name := fmt.Sprintf("%-5s", f.Level)
	if r.Colour {
		name = "\x1b[" + colours[f.Level] + "m" + name + "\x1b[0m"
	}
	fmt.Fprintf(r.Out, "%s %-10s ", name, f.Area)
	terminal.Advise(r.Out, textColumn, r.Width, f.Text, f.Next)
}

// end prints the summary.
func (r *report) end() (Verdict, error) {
	if r.JSON {
		e := json.NewEncoder(r.Out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(r.findings); err != nil {
			return Failed, err
		}
	} else {
		fmt.Fprintf(r.Out, "\n%s\n", r.summary())
	}
	return r.verdict(), nil
}

func (r *report) verdict() Verdict {
	switch {
	case r.wrong:
		return Misset
	case r.login:
		return LoginNeeded
	case r.count(Fail) > 0:
		return Failed
	}
	return Fine
}

func (r *report) count(l Level) (n int) {
	for _, f := range r.findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

func (r *report) summary() string {
	ok, warned, failed := r.count(OK), r.count(Warn), r.count(Fail)
	if warned+failed == 0 {
		return fmt.Sprintf("All is well: %s.", humanize.Count(ok, "check"))
	}
	verdict := map[Verdict]string{
		Fine: "It works", Failed: "Something is wrong", LoginNeeded: "A login is needed", Misset: "Some settings are wrong",
	}[r.verdict()]
	return fmt.Sprintf("%s: %s, %s, %d ok.", verdict, humanize.Count(failed, "failure"), humanize.Count(warned, "warning"), ok)
}
