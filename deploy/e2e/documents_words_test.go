package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// prose returns a page without its fenced blocks.
func prose(t *testing.T, page string) string {
	t.Helper()
	b, err := os.ReadFile(Source(t, page))
	if err != nil {
		t.Fatal(err)
	}
	kept, open := []string{}, false
	for line := range strings.Lines(string(b)) {
		if fence.MatchString(strings.TrimRight(line, "\n")) {
			open = !open
		} else if !open {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

var codeSpan = regexp.MustCompile("`([^`\n]+)`")

// spans returns the texts between backquotes.
func spans(text string) (all []string) {
	for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// help maps the agent's commands to their flags.
type help map[string]map[string]bool

var flagInHelp = regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[\w-]+)`)

func readHelp(t *testing.T) help {
	t.Helper()
	agent := NewAgent(t, nil)
	h := help{}
	for line := range strings.SplitSeq(agent.Command("--help").Output, "\n") {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !strings.HasPrefix(line, "  ") || !regexp.MustCompile(`^[a-z]+$`).MatchString(name) || name == "help" {
			continue
		}
		h[name] = map[string]bool{}
		for _, m := range flagInHelp.FindAllStringSubmatch(agent.Command(name, "--help").Output, -1) {
			h[name][m[1]] = true
		}
	}
	return h
}

// check reports a command or flag after the agent's name that the agent does
// not have, and returns the command.
func (h help) check(t *testing.T, page string, words []string) (command string) {
	t.Helper()
	command = "run"
	if len(words) > 0 && !strings.HasPrefix(words[0], "-") {
		command = words[0]
	}
	flags, ok := h[command]
	if !ok {
		t.Errorf("%s: the agent has no command %q", page, command)
		return command
	}
	for _, word := range words {
		flag, _, _ := strings.Cut(strings.Trim(word, ".,;:()\""), "=")
		if strings.HasPrefix(flag, "--") && !flags[flag] {
			t.Errorf("%s: netatmo-agent %s has no flag %s", page, command, flag)
		}
	}
	return command
}

// Every command of the agent that the text mentions exists, with its flags; so
// do the flags that a table lists in the row of a command.
func TestDocumentsNameCommandsThatExist(t *testing.T) {
	known := readHelp(t)
	seen := map[string]bool{}
	for _, page := range pages(t) {
		for line := range strings.SplitSeq(prose(t, page), "\n") {
			command := ""
			for _, span := range spans(line) {
				words := strings.Fields(span)
				at := slices.IndexFunc(words, func(w string) bool {
					return w == "netatmo-agent" || w == "./netatmo-agent" || w == "/netatmo-agent" || w == "./agent"
				})
				isTest := words[0] == "go" && len(words) > 1 && words[1] != "run"
				switch {
				case at >= 0 && !isTest:
					command = known.check(t, page, words[at+1:])
					seen[command] = true
				case strings.HasPrefix(span, "--") && command != "" && strings.HasPrefix(line, "| `netatmo-agent"):
					known.check(t, page, append([]string{command}, words...))
				}
			}
		}
	}
	for command := range known {
		if !seen[command] {
			t.Errorf("no page names netatmo-agent %s", command)
		}
	}
}

var variable = regexp.MustCompile(`\b(?:NETATMO|OTEL)_\w+`)

// Every variable that a page or a shipped file names is in the README's tables,
// or is one of another program that the agent accepts.
func TestDocumentsNameSettingsThatExist(t *testing.T) {
	readme := prose(t, "README.md")
	_, tables, ok := strings.Cut(readme, "<!-- settings:")
	tables, _, ok2 := strings.Cut(tables, "<!-- end of settings -->")
	if !ok || !ok2 {
		t.Fatal("README.md has no tables of settings")
	}
	known := variable.FindAllString(tables, -1)
	for _, name := range slices.Clone(known) { // the forms for metrics only
		known = append(known, strings.Replace(name, "OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_METRICS_", 1))
	}
	known = append(known, "NETATMO_EXPORTER_TOKEN_FILE", "NETATMO_EXPORTER_ADDR", "NETATMO_EXPORTER_EXTERNAL_URL", "NETATMO_BIND")
	files := pages(t)
	for _, pattern := range []string{"*.yaml", "kubernetes/*", "systemd/*"} {
		found, err := filepath.Glob(Source(t, "deploy", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			files = append(files, strings.TrimPrefix(path, Source(t)+"/"))
		}
	}
	for _, file := range files {
		b, err := os.ReadFile(Source(t, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range variable.FindAllString(string(b), -1) {
			part := strings.HasSuffix(name, "_")          // such as OTEL_EXPORTER_OTLP_ before a METRICS_
			ofTests := file == "CONTRIBUTING.md"          // see TestDocumentsNameTestsThatExist
			standard := file == "deploy/opentelemetry.md" // those without effect, too, in a table of the program
			if !part && !ofTests && !standard && !slices.Contains(known, name) {
				t.Errorf("%s: %s is not a setting", file, name)
			}
		}
	}
}

// A new user registers the redirect URI that the README names before the agent
// can show one.
func TestReadmeNamesTheRedirectURI(t *testing.T) {
	env := Env{"NETATMO_CLIENT_ID": ClientID, "NETATMO_CLIENT_SECRET": ClientSecret}
	agent := NewAgent(t, env)
	delete(agent.Env, "NETATMO_LISTEN_ADDR")
	shown := regexp.MustCompile(`http\S+/auth/callback`)
	want := shown.FindString(agent.Command("check", "--offline").Output)
	if got := shown.FindAllString(prose(t, "README.md"), -1); len(got) != 1 || strings.Trim(got[0], "`") != want {
		t.Errorf("the README names %v, the agent %s", got, want)
	}
}

// With a mapped or forwarded port it is a different one.
func TestGuideNamesTheRedirectURIs(t *testing.T) {
	project, err := composeProject(composeFolder(t, appInDotEnv), "real")
	if err != nil {
		t.Fatal(err)
	}
	external := map[string]string{
		"Docker":     *project.Services["agent"].Environment["NETATMO_EXTERNAL_URL"],
		"Kubernetes": applied(t).config.Data["NETATMO_EXTERNAL_URL"],
		"systemd":    "http://localhost:9210",
	}
	for section := range strings.SplitSeq(prose(t, "deploy/containers.md"), "\n## ") {
		title, text, _ := strings.Cut(section, "\n")
		want, ok := external[title]
		if delete(external, title); ok && !strings.Contains(text, "`"+want+"/auth/callback`") {
			t.Errorf("the section on %s does not name %s/auth/callback", title, want)
		}
	}
	if len(external) > 0 {
		t.Errorf("no section about %v", external)
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

// Links within the project work.
func TestDocumentsLinks(t *testing.T) {
	guides, err := filepath.Glob(Source(t, "deploy", "backends", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := append(pages(t), "CHANGELOG.md")
	for _, guide := range guides {
		all = append(all, "deploy/backends/"+filepath.Base(guide))
	}
	for _, page := range all {
		for _, m := range link.FindAllStringSubmatch(prose(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(Source(t, target)); err != nil {
				t.Errorf("%s: %s is a broken link", page, m[1])
			} else if anchor != "" && !slices.Contains(anchors(prose(t, target)), anchor) {
				t.Errorf("%s: there is no heading for %s", page, m[1])
			}
		}
	}
}

// anchors returns the anchors that a forge gives to the headings of a text.
func anchors(text string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return all
}

var testCommand = regexp.MustCompile(`^(?:cd (\S+) && )?(?:mkdir \S+ && )?(?:(\w+)=\S+ )?go (?:test|vet|run) (.+)$`)

// go commands that the text mentions name packages and tests that exist, and
// variables that these read.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	for _, page := range pages(t) {
		for _, span := range spans(prose(t, page)) {
			m := testCommand.FindStringSubmatch(span)
			if m == nil {
				continue
			}
			folder, variable, words := m[1], m[2], strings.Fields(m[3])
			var tests string
			for _, word := range words {
				here := word == "." && folder != "" // elsewhere it is a pattern of benchmarks
				if !here && !strings.HasPrefix(word, "./") || word == "./..." {
					continue
				}
				files, err := filepath.Glob(Source(t, folder, word, "*_test.go"))
				if err != nil || len(files) == 0 {
					t.Errorf("%s: %s: %s has no tests", page, span, word)
				}
				tests += contents(t, files)
			}
			if !strings.Contains(tests, variable) {
				t.Errorf("%s: %s: no test reads %s", page, span, variable)
			}
			at := slices.Index(words, "-run")
			if at < 0 || at+1 == len(words) || words[at+1] == "'^$'" {
				continue
			}
			name := strings.Trim(words[at+1], "'^$")
			if !regexp.MustCompile(`func \w*` + name).MatchString(tests) {
				t.Errorf("%s: %s: no test of that name", page, span)
			}
		}
	}
}

// contents returns the content of files.
func contents(t *testing.T, files []string) string {
	t.Helper()
	var all strings.Builder
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

var (
	quoted  = regexp.MustCompile(`\*([^*]+)\*`)
	comment = regexp.MustCompile(`(?m)^\s*//.*$`)
)

// The troubleshooting table quotes the agent literally.
func TestTroubleshootingQuotesTheAgent(t *testing.T) {
	source := ""
	for _, pattern := range []string{"agent/*.go", "agent/*/*.go", "auth/*.go", "store/*.go"} {
		files, err := filepath.Glob(Source(t, pattern))
		if err != nil {
			t.Fatal(err)
		}
		source += contents(t, slices.DeleteFunc(files, func(name string) bool { return strings.HasSuffix(name, "_test.go") }))
	}
	source = comment.ReplaceAllString(source, "")
	quotes := 0
	for line := range strings.SplitSeq(prose(t, "deploy/troubleshooting.md"), "\n") {
		symptom, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		if !ok {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(symptom, -1) {
			quotes++
			broken := strconv.Quote(strings.TrimSuffix(m[1], " failed")) // an outage.Log appends what happened
			if !strings.Contains(source, m[1]) && !strings.Contains(source, broken) {
				t.Errorf("nothing in the source says %q", m[1])
			}
		}
	}
	if quotes < 20 {
		t.Errorf("%d quotes found", quotes)
	}
}
