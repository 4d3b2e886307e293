package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// docker implements compose with a file and profiles, and build, push and run
// of an image.
func docker(w *world, args []string) error {
	if len(args) == 0 {
		return errors.New("docker without a command")
	}
	switch args[0] {
	case "compose":
		return dockerCompose(w, args[1:])
	case "build":
		a, err := parseArguments(args[1:], map[string]bool{"--tag": true, "-t": true}, 1)
		if err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(a.word(0), "Dockerfile")); err != nil {
			return err
		}
		return w.note("image " + a.flag("--tag", "-t"))
	case "push":
		return w.noted("image " + args[len(args)-1])
	case "run":
		return dockerRun(w, args[1:])
	}
	return fmt.Errorf("docker %s is not among the commands that this stand-in knows", args[0])
}

// composeCommands are those that the stand-in knows, with their flags.
var composeCommands = map[string]map[string]bool{
	"up":   {"--build": false, "--detach": false},
	"down": {"--volumes": false},
	"logs": {"--follow": false},
	"exec": {},
}

// dockerCompose loads the project as docker compose does, and really runs it
// (see composed).
func dockerCompose(w *world, args []string) error {
	global, err := parseArguments(args, map[string]bool{
		"--file": true, "-f": true, "--profile": true, "--project-name": true, "-p": true,
	}, 1)
	if err != nil {
		return err
	}
	sub := global.word(0)
	flags, ok := composeCommands[sub]
	if !ok {
		return fmt.Errorf("docker compose %s is not among the commands that this stand-in knows", sub)
	}
	words := -1
	if sub == "exec" {
		words = 1
	}
	a, err := parseArguments(global.words[1:], flags, words)
	if err != nil {
		return err
	}
	project, err := composeProject(global.flag("--file", "-f"), global.flags["--profile"]...)
	if err != nil {
		return err
	}
	if name := global.flag("--project-name", "-p"); name != "" {
		project.Name = name
	}
	c := composed{w, project}
	if sub == "up" {
		return c.up()
	}
	if service := a.word(0); service != "" {
		if _, ok := project.Services[service]; !ok {
			return fmt.Errorf("no service %s; there are %v", service, project.ServiceNames())
		}
		if !c.runs(service) {
			return fmt.Errorf("%s of project %s does not run", service, project.Name)
		}
	}
	switch sub {
	case "down":
		return c.down()
	case "logs":
		return command(os.Environ(), "cat", c.log(a.word(0)))
	}
	return c.exec(a.word(0), a.words[1:])
}

// inContainer runs a check of the agent with the variables of a container of
// its image.
func (w *world) inContainer(env, args []string, missing ...string) error {
	if len(args) < 2 || args[0] != "/netatmo-agent" || args[1] != "check" {
		return fmt.Errorf("%v is not /netatmo-agent check, the only command that this stand-in runs in a container", args)
	}
	binary, err := w.build("./agent")
	if err != nil {
		return err
	}
	return checks(env, binary, args[1:], missing...)
}

// imageVariables are those of a container of the agent's image without further
// variables. A folder of this machine replaces its root.
func imageVariables(root string) []string {
	return []string{"PATH=/usr/bin:/bin", "NETATMO_EXPORTER_ADDR=0.0.0.0:9210", "XDG_STATE_HOME=" + filepath.Join(root, "var/lib")}
}

// dockerRun checks the settings that a container would get with the agent's own
// check.
func dockerRun(w *world, args []string) error {
	a, err := parseArguments(args, map[string]bool{
		"--detach": false, "--name": true, "--restart": true, "--stop-timeout": true, "--env": true,
		"--env-file": true, "--publish": true, "--volume": true,
	}, 1)
	if err != nil {
		return err
	}
	if err := w.noted("image " + a.word(0)); err != nil {
		return err
	}
	if v := a.flag("--volume"); !strings.HasSuffix(v, ":/var/lib/netatmo-agent") {
		return fmt.Errorf("the login would die with the container: volume %q", v)
	}
	if p := a.flag("--publish"); !strings.HasSuffix(p, ":9210") {
		return fmt.Errorf("the login pages cannot be reached: port %q", p)
	}
	if s := a.flag("--stop-timeout"); s != "45" {
		return fmt.Errorf("a refresh under way might be cut off: stop timeout %q", s)
	}
	env := imageVariables(w.State)
	if file := a.flag("--env-file"); file != "" {
		variables, err := envFile(file)
		if err != nil {
			return err
		}
		env = append(env, variables...)
	}
	for _, variable := range a.flags["--env"] {
		if !strings.Contains(variable, "=") {
			variable += "=" + os.Getenv(variable)
		}
		env = append(env, variable)
	}
	return w.examine(env)
}

// examine runs the agent's check on the settings of a container.
func (w *world) examine(env []string) error {
	return w.inContainer(env, []string{"/netatmo-agent", "check", "--offline"})
}
