package attack

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"netatmo-agent/deploy/e2e"
)

// plants create something other than a small regular file at a path.
var plants = map[string]func(s *scene, path string){
	"a pipe":            func(s *scene, path string) { must(s, syscall.Mkfifo(path, 0o600)) },
	"an endless device": func(s *scene, path string) { must(s, os.Symlink("/dev/zero", path)) },
	"a file of 400 MiB": huge,
	"a directory":       func(s *scene, path string) { must(s, os.Mkdir(path, 0o700)) },
	"a pipe behind links": func(s *scene, path string) {
		must(s, syscall.Mkfifo(path+".1", 0o600))
		must(s, os.Symlink(path+".1", path))
	},
}

func huge(s *scene, path string) {
	must(s, os.WriteFile(path, []byte("a: b\n"), 0o600))
	must(s, os.Truncate(path, 400*mebibyte))
}

func must(s *scene, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// settingsFiles are the variables that name a file, with the other variables
// that they need.
var settingsFiles = map[string]e2e.Env{
	"NETATMO_CLIENT_SECRET_FILE":            nil,
	"OTEL_EXPORTER_OTLP_HEADERS_FILE":       nil,
	"OTEL_EXPORTER_OTLP_CERTIFICATE":        {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1"},
	"OTEL_EXPORTER_OTLP_CLIENT_KEY":         {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1"},
	"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://127.0.0.1:1"},
	"NETATMO_TOKEN_FILE":                    nil,
}

// fileAttacks replace the files that the agent reads.
func fileAttacks() (all []attack) {
	for plant, put := range plants {
		for variable, env := range settingsFiles {
			if plant == "a file of 400 MiB" && variable == "NETATMO_TOKEN_FILE" {
				continue // such a file has no login, see below
			}
			all = append(all, attack{"files", plant + " as " + variable, func(s *scene) { refused(s, variable, env, put) }})
		}
		all = append(all, attack{"files", plant + " as state.json", func(s *scene) {
			s.logIn()
			put(s, s.agent.StateFile())
			s.start()
			s.program.eitherOr(s, "state.json")
		}})
		if plant != "a directory" {
			all = append(all, attack{"files", "headers that become " + plant, func(s *scene) { headersBecome(s, put) }})
		}
	}
	return append(all, attack{"files", "a file of 400 MiB as token.json", func(s *scene) {
		must(s, os.MkdirAll(filepath.Dir(s.agent.TokenFile()), 0o700))
		huge(s, s.agent.TokenFile())
		s.start()
		s.eventually("asks for a login", func() bool { return loginLink.MatchString(s.log.text()) })
		s.logIn()
		s.recovers()
	}})
}

// refused checks that the agent refuses the file of a variable and names it.
func refused(s *scene, variable string, env e2e.Env, put func(*scene, string)) {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "planted")
	put(s, path)
	s.set(env)
	if variable != "NETATMO_TOKEN_FILE" {
		s.logIn()
	}
	if strings.HasPrefix(variable, "OTEL_EXPORTER_OTLP_CLIENT_") {
		good := filepath.Join(s.t.TempDir(), "good")
		must(s, os.WriteFile(good, []byte("no matter"), 0o600))
		s.set(e2e.Env{"OTEL_EXPORTER_OTLP_CLIENT_KEY": good, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": good})
	}
	s.set(e2e.Env{variable: path})
	if variable == "NETATMO_CLIENT_SECRET_FILE" {
		delete(s.agent.Env, "NETATMO_CLIENT_SECRET")
	}
	s.restless = true
	s.start()
	if code := s.program.wait(30 * time.Second); code != 2 {
		s.t.Errorf("exit code %d, want 2", code)
	}
	if text := s.log.text(); !strings.Contains(text, variable) && !strings.Contains(text, path) {
		s.t.Errorf("the log names neither %s nor the path", variable)
	}
}

// eitherOr waits until the agent pushes readings despite a planted file, or has
// refused it and named it.
func (p *program) eitherOr(s *scene, name string) {
	s.t.Helper()
	s.ended = time.Now()
	for s.backend.newest().IsZero() && p.running() && time.Since(s.ended) < silence {
		time.Sleep(20 * time.Millisecond)
	}
	s.row.recovery = time.Since(s.ended)
	if p.running() {
		return
	}
	s.restless, s.row.recovery = true, 0
	if code := p.cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(s.log.text(), name) {
		s.t.Errorf("exit code %d without readings, want 2 and the name of %s", code, name)
	}
}

// headersBecome replaces the header file of a running agent for a while.
func headersBecome(s *scene, put func(*scene, string)) {
	s.t.Helper()
	s.over("http/protobuf")
	path := filepath.Join(s.t.TempDir(), "headers")
	good := func() { must(s, os.WriteFile(path, []byte("X-Scope-OrgID: home\n"), 0o600)) }
	good()
	s.set(e2e.Env{"OTEL_EXPORTER_OTLP_HEADERS_FILE": path})
	s.healthy()
	must(s, os.Remove(path))
	put(s, path)
	before := s.backend.taken()
	s.eventually("continues to push", func() bool { return s.backend.taken() > before+3 })
	must(s, os.Remove(path))
	good()
	s.recovers()
}
