package netatmo_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"netatmo-agent/agent/netatmo"
)

// ask returns the lines of one home whose modules are declared in homesdata and
// have status in homestatus.
func ask(t *testing.T, declared, status string) []string {
	t.Helper()
	c := serve(t, netatmo.Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("home_id") == "" {
			fmt.Fprintf(w, `{"body":{"homes":[{"id":"00001","rooms":[{"id":"r","name":"Hall"}],"modules":[%s]}]}}`, declared)
			return
		}
		fmt.Fprintf(w, `{"time_server":1790000000,"body":{%s}}`, status)
	})
	return lines(t, c)["00001"]
}

func TestOddHomeDevices(t *testing.T) {
	for _, tc := range []struct {
		name, declared, status string
		want                   []string
	}{
		{"numbers as strings", ``, `"home":{"modules":[{"id":"p","type":"NLP","power":"37","on":"true","reachable":"1","last_seen":"1789999960"}]}`,
			[]string{"plug p | p | | last_seen=1789999960 on=1 reachable=1 watts=37"}},
		{"positions that are none", ``, `"home":{"modules":[{"id":"s","type":"NLV","current_position":101,"target_position":-1},{"id":"u","type":"NBR","current_position":-2,"target_position":null}]}`,
			[]string{"shutter s | s | |", "shutter u | u | |"}},
		{"boiler errors", ``, `"home":{"modules":[{"id":"a","type":"OTH","boiler_error":["ignition"]},{"id":"b","type":"OTH","boiler_error":true},{"id":"c","type":"OTH","boiler_error":"pressure"},` +
			`{"id":"d","type":"OTH","boiler_error":false},{"id":"e","type":"OTH","boiler_error":""},{"id":"f","type":"OTH","boiler_error":null},{"id":"g","type":"OTH","boiler_error":{}}]}`,
			[]string{"relay a | a | | boiler_error=1", "relay b | b | | boiler_error=1", "relay c | c | | boiler_error=1",
				"relay d | d | | boiler_error=0", "relay e | e | | boiler_error=0", "relay f | f | |", "relay g | g | | boiler_error=0"}},
		{"a bridge that names itself", ``, `"home":{"modules":[{"id":"g","type":"NLG","bridge":"g","wifi_strength":51},{"id":"p","type":"NLP","bridge":"g","power":3}]}`,
			[]string{"gateway g | g | | wifi=-51", "plug p | p | | watts=3"}},
		{"bridges in a circle", `{"id":"a","type":"NLG","bridge":"b"},{"id":"b","type":"NLG","bridge":"a"}`,
			`"home":{"modules":[{"id":"a","type":"NLG","bridge":"b","wifi_strength":51},{"id":"b","type":"NLG","bridge":"a"}]},"errors":[{"code":6,"id":"b"}]`,
			[]string{"gateway a | a | | reachable=0", "gateway b | b | | reachable=0"}},
		{"part of an unreachable device", ``, `"home":{"modules":[{"id":"m#1","type":"NLIS","on":true,"power":7},{"id":"m","type":"NLIS","reachable":false,"firmware_revision":20}]}`,
			[]string{"switch m#1 | m#1 | | firmware=20 reachable=0", "switch m | m | | firmware=20 reachable=0"}},
		{"behind an unreachable gateway", ``, `"home":{"modules":[{"id":"g","type":"NBG","reachable":false},{"id":"s","type":"NBR","bridge":"g","current_position":5},{"id":"u","type":"NBR","bridge":"g","current_position":6,"reachable":true}]}`,
			[]string{"gateway g | g | | reachable=0", "shutter s | s | | reachable=0", "shutter u | u | | position=6 reachable=1"}},
		{"values behind a gateway that is away", `{"id":"g","type":"NLG"},{"id":"p","type":"NLP","name":"Plug","room_id":"r","bridge":"g"}`,
			`"home":{"modules":[{"id":"p","type":"NLP","power":3,"reachable":true,"firmware_revision":104}]},"errors":[{"code":6,"id":"g"}]`,
			[]string{"plug p | Plug | Hall | firmware=104 reachable=0", "gateway g | g | | reachable=0"}},
		{"other devices stay when one gateway is away", `{"id":"g","type":"NAPlug"},{"id":"t","type":"NATherm1","room_id":"r","bridge":"g"},{"id":"p","type":"NLP"}`,
			`"home":{"modules":[{"id":"p","type":"NLP","power":3}]},"errors":[{"code":6,"id":"g"}]`,
			[]string{"plug p | p | | watts=3", "relay g | g | | reachable=0", "thermostat t | t | Hall | reachable=0", "room r | Hall | | reachable=0"}},
		{"a camera that is offline", `{"id":"c","type":"NACamera"},{"id":"d","type":"NDB"}`, `"errors":[{"code":27,"id":"c"},{"code":503,"id":"d"}]`,
			[]string{"camera c | c | | reachable=0", "doorbell d | d | | reachable=0"}},
		{"errors about ids that nobody knows", ``, `"home":{"modules":[{"id":"p","type":"NLP","power":3}]},"errors":[{"code":6,"id":"zz"},{"code":"x"},null,7]`,
			[]string{"plug p | p | | watts=3", "rejected zz", "rejected "}},
		{"unknown types", `{"id":"y","type":"NLXX"}`, `"home":{"modules":[{"id":"x","type":"NLXX","power":3},{"id":"y","type":"NLXX"},{"id":"p","type":"NLP","on":false}]}`,
			[]string{"plug p | p | | on=0", `rejected type "NLXX"`}},
		{"a device only in homestatus, one only in homesdata", `{"id":"a","type":"NLP"}`, `"home":{"modules":[{"id":"b","type":"NLP","on":false}]}`,
			[]string{"plug b | b | | on=0", "rejected a"}},
		{"a setpoint that ended or never ends", ``, `"home":{"rooms":[{"id":"1","therm_setpoint_mode":"manual","therm_setpoint_end_time":1789999999},{"id":"2","therm_setpoint_mode":"hg","therm_setpoint_end_time":4294967295}]}`,
			[]string{"room 1 | 1 | | mode=manual", "room 2 | 2 | | mode=hg"}},
		{"the first setpoint counts", ``, `"home":{"rooms":[{"id":"1","auto_setpoint_temperature":25,"cooling_setpoint_temperature":24,"cooling_setpoint_mode":"home","therm_setpoint_temperature":null}]}`,
			[]string{"room 1 | 1 | | mode=home setpoint=24"}},
	} {
		t.Run(tc.name, func(t *testing.T) { compare(t, ask(t, tc.declared, tc.status), tc.want) })
	}
}

func TestHomeOf300Modules(t *testing.T) {
	var modules []string
	for i := range 300 {
		modules = append(modules, fmt.Sprintf(`{"id":"p%d","type":"NLP","power":%d,"bridge":"p%d"}`, i, i, i+1))
	}
	if got := ask(t, strings.Join(modules, ","), `"home":{"modules":[`+strings.Join(modules, ",")+`]}`); len(got) != 300 {
		t.Errorf("%d readings, want 300", len(got))
	}
}

// No reading or rejection contains personal data of an answer.
func TestNothingPersonalOfHomes(t *testing.T) {
	c := homesClient(t)
	homes, err := c.Homes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range homes {
		a, _ := c.HomeStatus(t.Context(), h)
		for _, personal := range []string{"vpn", "example.invalid", "10.0.0.", "p-1", "@"} {
			if text := fmt.Sprintf("%+v", a); strings.Contains(text, personal) {
				t.Errorf("home %s: the answer has %q", h.ID, personal)
			}
		}
	}
}
