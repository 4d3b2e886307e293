package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// finding is one thing that the doctor has to say.
type finding struct {
	Area  string `json:"area"`
	Level level  `json:"level"`
	Text  string `json:"text"` // a sentence
	Next  string `json:"next"` // what to do about it; may be empty
}

type level string

const (
	levelOK   level = "ok"
	levelWarn level = "warn"
	levelFail level = "fail"
)

var colours = map[level]string{levelOK: "32", levelWarn: "33", levelFail: "31"}

// report collects findings, and shows them as they come unless it is for a
// machine.
type report struct {
	out      io.Writer
	machine  bool
	colour   bool
	width    int // of the terminal; 0: do not wrap
	findings []finding
	wrong    bool // a setting cannot be used
	login    bool // a login is needed
	untried  bool // whether the login works
}

func newReport(out io.Writer, machine bool) *report {
	r := &report{out: out, machine: machine, findings: []finding{}}
	if fd, ok := terminal(out); ok {
		r.width, _, _ = term.GetSize(fd)
		r.colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
	return r
}

func (r *report) add(f finding) {
	r.findings = append(r.findings, f)
	if !r.machine {
		r.show(f)
	}
}

func (r *report) ok(area, text string) { r.add(finding{area, levelOK, text, ""}) }

// okNext is for what is well and yet leaves something to do.
func (r *report) okNext(area, text, next string) { r.add(finding{area, levelOK, text, next}) }

func (r *report) warn(area, text, next string) { r.add(finding{area, levelWarn, text, next}) }

func (r *report) fail(area, text, next string) { r.add(finding{area, levelFail, text, next}) }

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

func (r *report) show(f finding) {
	name := fmt.Sprintf("%-5s", f.Level)
	if r.colour {
		name = "\x1b[" + colours[f.Level] + "m" + name + "\x1b[0m"
	}
	fmt.Fprintf(r.out, "%s %-10s ", name, f.Area)
	advise(r.out, textColumn, r.width, f.Text, f.Next)
}

// end sums up. The error decides the exit code.
func (r *report) end() error {
	if r.machine {
		e := json.NewEncoder(r.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(r.findings); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(r.out, "\n%s\n", r.summary())
	}
	switch {
	case r.wrong:
		return &exitError{code: exitUsage}
	case r.login:
		return &exitError{code: exitLogin}
	case r.count(levelFail) > 0:
		return &exitError{code: exitFailed}
	}
	return nil
}

func (r *report) count(l level) (n int) {
	for _, f := range r.findings {
		if f.Level == l {
			n++
		}
	}
	return n
}

func (r *report) summary() string {
	ok, warned, failed := r.count(levelOK), r.count(levelWarn), r.count(levelFail)
	if warned+failed == 0 {
		return fmt.Sprintf("All is well: %s.", several(ok, "check"))
	}
	verdict := "It works"
	if r.untried {
		verdict = "The login was not tried"
	}
	switch {
	case r.wrong:
		verdict = "The settings need a hand"
	case r.login:
		verdict = "A login is needed"
	case failed > 0:
		verdict = "Not all is well"
	}
	return fmt.Sprintf("%s: %s, %s, %d ok.", verdict, several(failed, "failure"), several(warned, "warning"), ok)
}
