// Command release writes the manual page of netatmo-agent: its commands from
// the program's own help, its settings and exit codes from the README. With
// -licenses it writes the licenses of all that is linked into a program instead.
//
//	go run . -date 2026-11-30 path/to/netatmo-agent ../../README.md >netatmo-agent.1
//	go run . -licenses path/to/netatmo-agent ../.. >THIRD-PARTY.txt
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

func main() {
	date := flag.String("date", "", "date of the page, such as 2026-11-30")
	legal := flag.Bool("licenses", false, "write the licenses of what is linked into the program")
	flag.Parse()
	var page string
	var err error
	if *legal && flag.NArg() == 2 {
		page, err = licenses(flag.Arg(0), flag.Arg(1))
	} else {
		page, err = run(*date, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
	fmt.Print(page)
}

func run(date string, args []string) (string, error) {
	if len(args) != 2 {
		return "", errors.New("want two arguments: the program and the README")
	}
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return "", fmt.Errorf("-date: %w", err)
	}
	readme, err := os.ReadFile(args[1])
	if err != nil {
		return "", err
	}
	commands, err := readCommands(args[0])
	if err != nil {
		return "", err
	}
	settings, err := readTables(string(readme), "settings")
	if err != nil {
		return "", err
	}
	return manual(day, commands, settings), nil
}

// command is a command of the program, with the text of its help.
type command struct{ name, short, help string }

// commandLine is a line of the list in the help: a name and what it does.
var commandLine = regexp.MustCompile(`^  ([a-z]+) {2,}(\S.*)$`)

func readCommands(program string) (all []command, err error) {
	overview, err := exec.Command(program, "--help").Output()
	if err != nil {
		return nil, fmt.Errorf("%s --help: %w", program, err)
	}
	for line := range strings.Lines(string(overview)) {
		m := commandLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if m == nil || m[1] == "help" {
			continue
		}
		help, err := exec.Command(program, m[1], "--help").Output()
		if err != nil {
			return nil, fmt.Errorf("%s %s --help: %w", program, m[1], err)
		}
		all = append(all, command{m[1], m[2], string(help)})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s --help lists no commands", program)
	}
	return all, nil
}

// row is a row of a table of settings.
type row struct{ name, flag, fallback, meaning string }

// readTables reads the tables between two marks of the README.
func readTables(readme, mark string) (rows []row, err error) {
	_, text, ok := strings.Cut(readme, "<!-- "+mark+":")
	text, _, ok2 := strings.Cut(text, "<!-- end of "+mark+" -->")
	if !ok || !ok2 {
		return nil, fmt.Errorf("the README has no tables of %s", mark)
	}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		for i := range cells {
			cells[i] = plain(cells[i])
		}
		if !strings.HasPrefix(cells[0], "NETATMO_") && !strings.HasPrefix(cells[0], "OTEL_") {
			continue
		}
		switch len(cells) {
		case 3:
			rows = append(rows, row{cells[0], "", cells[1], cells[2]})
		case 4:
			rows = append(rows, row{cells[0], cells[1], cells[2], cells[3]})
		default:
			return nil, fmt.Errorf("the row of %s has %d cells", cells[0], len(cells))
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("the tables of %s are empty", mark)
	}
	return rows, nil
}

var link = regexp.MustCompile(`\[([^\]]+)\]\([^)]+\)`)

// plain removes Markdown's markup from a text.
func plain(text string) string {
	text = link.ReplaceAllString(text, "$1")
	return strings.TrimSpace(strings.NewReplacer("`", "", "**", "", `\|`, "|").Replace(text))
}
