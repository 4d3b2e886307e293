package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

const shipped = "../../grafana/netatmo.json"

func TestShippedDashboardIsUpToDate(t *testing.T) {
	want, err := render()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("deploy/grafana/netatmo.json differs: in deploy/e2e run go run ./dashboard >../grafana/netatmo.json")
	}
}

func decode(t *testing.T) dashboard.Dashboard {
	t.Helper()
	plugins.RegisterDefaultPlugins()
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard.Dashboard
	if err := d.UnmarshalJSONStrict(text); err != nil {
		t.Fatalf("Grafana's schema refuses the dashboard: %v", err)
	}
	return d
}

// The check of the schema proves something only if it rejects mistakes.
func TestSchemaRejectsUnknownFields(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	m["panels"].([]any)[1].(map[string]any)["colour"] = "red"
	broken, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := (&dashboard.Dashboard{}).UnmarshalJSONStrict(broken); err == nil {
		t.Error("a panel with an unknown field is accepted")
	}
}

// A panel has a unique id, a title, a unit or names for its values, the data
// source that the user chooses, and a place that does not overlap others.
func TestPanels(t *testing.T) {
	ids, taken := map[uint32]string{}, map[[2]uint32]string{}
	for _, either := range decode(t).Panels {
		p := either.Panel
		if p == nil {
			p = &dashboard.Panel{Type: "row", Id: &either.RowPanel.Id, Title: either.RowPanel.Title, GridPos: either.RowPanel.GridPos}
		}
		name := *p.Title
		if other, ok := ids[*p.Id]; ok {
			t.Errorf("%q has the id of %q", name, other)
		}
		ids[*p.Id] = name
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, ok := taken[[2]uint32{x, y}]; ok || x >= 24 {
					t.Fatalf("%q overlaps %q or the edge", name, other)
				}
				taken[[2]uint32{x, y}] = name
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Datasource == nil || *p.Datasource.Uid != "${datasource}" {
			t.Errorf("%q queries %v, not the data source that the user chose", name, p.Datasource)
		}
		if d := p.FieldConfig.Defaults; p.Type != "table" && d.Unit == nil && len(d.Mappings) == 0 {
			t.Errorf("%q shows bare numbers", name)
		}
	}
}
