package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const toGrafanaCloud = "OTEL_EXPORTER_OTLP_ENDPOINT=https://otlp-gateway-prod-eu-west-2.grafana.net/otlp\n" +
	"OTEL_EXPORTER_OTLP_HEADERS=Authorization=Basic MTIzNDU2OmdsY19zZWNyZXQ=\n"

// composeAlone is the path of a copy of compose.agent.yaml with a .env beside it.
func composeAlone(t *testing.T, dotEnv string) string {
	t.Helper()
	file := filepath.Join(filepath.Dir(composeFolder(t, dotEnv)), "compose.agent.yaml")
	run(t, "cp", Source(t, "deploy", "compose.agent.yaml"), file)
	return file
}

func TestComposeOfTheAgentAlone(t *testing.T) {
	project, err := composeProject(composeAlone(t, appInDotEnv+toGrafanaCloud))
	if err != nil {
		t.Fatal(err)
	}
	if got := project.ServiceNames(); !slices.Equal(got, []string{"agent"}) {
		t.Fatalf("services %v", got)
	}
	checkComposeAgent(t, project.Services["agent"])
	env := Env{}
	for name, value := range project.Services["agent"].Environment {
		env[name] = *value
	}
	if got := NewAgent(t, env).Command("check", "--offline"); got.Code != 3 || strings.Contains("\n"+got.Output, "\nwarn") {
		t.Errorf("check ends with %d, want 3 for the missing login, and no warning:\n%s", got.Code, got.Output)
	}
}

func TestComposeOfTheAgentAloneNeedsAnEndpoint(t *testing.T) {
	if _, err := composeProject(composeAlone(t, appInDotEnv)); err == nil || !strings.Contains(err.Error(), "write it into deploy/.env") {
		t.Errorf("error %v, want one that says where the endpoint belongs", err)
	}
}

// On a NAS the ports are published in the network, and variables for the
// compose file do not reach the agent.
func TestComposeOnANAS(t *testing.T) {
	dotEnv := appInDotEnv + "NETATMO_BIND=0.0.0.0\nNETATMO_EXTERNAL_URL=http://nas.local:9210\n"
	for _, file := range []string{composeFolder(t, dotEnv+"GRAFANA_PASSWORD=house\n"), composeAlone(t, dotEnv+toGrafanaCloud)} {
		project, err := composeProject(file, "real")
		if err != nil {
			t.Fatal(err)
		}
		for name, service := range project.Services {
			for _, port := range service.Ports {
				if port.HostIP != "0.0.0.0" {
					t.Errorf("%s: port %s is published on %s", name, port.Published, port.HostIP)
				}
			}
		}
		env := Env{}
		for name, value := range project.Services["agent"].Environment {
			env[name] = *value
		}
		got := NewAgent(t, env).Command("check", "--offline")
		if strings.Contains(got.Output+got.Log, "NETATMO_BIND") || !strings.Contains(got.Output, "http://nas.local:9210/auth/callback") {
			t.Errorf("check says:\n%s%s", got.Output, got.Log)
		}
		if env["GRAFANA_PASSWORD"] != "" {
			t.Error("the agent is given Grafana's password")
		}
		if grafana, ok := project.Services["grafana"]; ok && *grafana.Environment["GF_SECURITY_ADMIN_PASSWORD"] != "house" {
			t.Error("Grafana has another password than the one in .env")
		}
	}
}
