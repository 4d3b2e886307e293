package check

import (
	"encoding/json"
	"fmt"
	"io"

	"netatmo-agent/agent/words"
)

// Finding is one thing that the doctor has to say.
type Finding struct {
	Area  string `json:"area"`
	Level Level  `json:"level"`
	Text  string `json:"text"` // a sentence
	Next  string `json:"next"` // what to do about it; may be empty
}

// Level is how good or bad a finding is.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

var colours = map[Level]string{OK: "32", Warn: "33", Fail: "31"}

// Verdict is what the findings come to.
type Verdict int

// The verdicts. Of several the last is the one to act on first.
const (
	Fine        Verdict = iota // nothing failed
	Failed                     // something did
	LoginNeeded                // and a login cures it
	Misset                     // and a setting cures it
)

// Output is where findings go, and how.
type Output struct {
	Out    io.Writer
	Err    io.Writer // for what cannot wait for a finding
	JSON   bool      // one array of Finding at the end, instead of text
	Colour bool
	Width  int // of the terminal; 0: do not wrap
}

// report collects findings, and shows text as they come.
type report struct {
	Output
	findings []Finding
	wrong    bool // a setting cannot be used
	login    bool // a login is needed
	untried  bool // whether the login works
}

func newReport(o Output) *report { return &report{Output: o, findings: []Finding{}} }

func (r *report) add(f Finding) {
	r.findings = append(r.findings, f)
	if !r.JSON {
		r.show(f)
	}
}

func (r *report) ok(area, text string) { r.add(Finding{area, OK, text, ""}) }

// okNext is for what is well and yet leaves something to do.
func (r *report) okNext(area, text, next string) { r.add(Finding{area, OK, text, next}) }

func (r *report) warn(area, text, next string) { r.add(Finding{area, Warn, text, next}) }

func (r *report) fail(area, text, next string) { r.add(Finding{area, Fail, text, next}) }

// misset is fail for a fault that a setting cures.
func (r *report) misset(area, text, next string) {
	r.wrong = true
	r.fail(area, text, next)
}

// loggedOut is fail for a fault that a login cures.
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
	words.Advise(r.Out, textColumn, r.Width, f.Text, f.Next)
}

// end sums up.
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
		return fmt.Sprintf("All is well: %s.", words.Several(ok, "check"))
	}
	verdict := map[Verdict]string{
		Fine: "It works", Failed: "Not all is well", LoginNeeded: "A login is needed", Misset: "The settings need a hand",
	}[r.verdict()]
	if r.untried && r.verdict() == Fine {
		verdict = "The login was not tried"
	}
	return fmt.Sprintf("%s: %s, %s, %d ok.", verdict, words.Several(failed, "failure"), words.Several(warned, "warning"), ok)
}
